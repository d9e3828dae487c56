"""What makes a product of the proto: its reference, the baselines of its versions, and the archive for who vendors it.

`model`, `comments`, `errors` and `markdown` are pure; `docs`, `baseline` and `archive` are programs.
"""
