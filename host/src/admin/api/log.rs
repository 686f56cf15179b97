//! The log, as it is written.

use hyper::StatusCode;

use super::stream;
use crate::admin::answer::{self, Answer, closing};
use crate::admin::client::Client;
use crate::log::{LogStream, MAX_LOG_STREAMS};

pub fn log(client: &Client) -> Answer {
    match LogStream::open() {
        Some(lines) => stream::answer(client, lines),
        None => {
            let error = format!("{MAX_LOG_STREAMS} clients read the log already");
            closing(answer::error(StatusCode::TOO_MANY_REQUESTS, &error))
        }
    }
}
