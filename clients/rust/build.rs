//! Makes the stubs of a client from the repository's proto folder.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = tonic_prost_build::Config::new();
    config.protoc_executable(protoc_bin_vendored::protoc_bin_path()?);
    tonic_prost_build::configure().build_server(false).build_transport(false).compile_with_config(
        config,
        &["../../proto/jobworker/v1/job_worker.proto"],
        &["../../proto", protoc_bin_vendored::include_path()?.to_str().ok_or("the path is not UTF-8")?],
    )?;
    Ok(())
}
