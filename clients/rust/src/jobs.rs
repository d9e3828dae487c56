use std::vec::IntoIter;

use crate::client::Client;
use crate::error::Error;
use crate::v1::Job;

/// A walk over all jobs, from [`Client::all`].
#[derive(Debug)]
pub struct Jobs {
    client: Client,
    page_size: i32,
    page: IntoIter<Job>,
    /// Of the next page, or none after the last.
    token: Option<String>,
}

impl Jobs {
    pub(crate) fn new(client: Client, page_size: i32) -> Jobs {
        Jobs { client, page_size, page: Vec::new().into_iter(), token: Some(String::new()) }
    }

    /// Returns the next job, or `None` after the last one or an error.
    ///
    /// # Errors
    /// Those of [`Client::list`].
    pub async fn next(&mut self) -> Result<Option<Job>, Error> {
        loop {
            if let Some(job) = self.page.next() {
                return Ok(Some(job));
            }
            let Some(token) = &self.token else {
                return Ok(None);
            };
            match self.client.list(self.page_size, token).await {
                Ok((jobs, next)) => {
                    self.page = jobs.into_iter();
                    self.token = Some(next).filter(|token| !token.is_empty());
                }
                Err(error) => {
                    self.token = None;
                    return Err(error);
                }
            }
        }
    }
}
