//! `hotsocket new`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{print_result, wrong_usage};
use crate::new::{self, Language, NewError};

/// Create a new guest project: a directory with source, test and README
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory to create; its name becomes the guest's name
    name: PathBuf,

    /// Language of the guest
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,
}

pub fn run(args: &Args) -> ExitCode {
    let result = new::create(&args.name, args.lang);
    if let Err(error @ NewError::Name { .. }) = result {
        return wrong_usage(error);
    }
    print_result(result.map(|created| {
        format!(
            "created {dir}: the guest is {guest}, its test {test}\n\n  \
             cd {dir}\n  \
             hotsocket dev                 # serve it, and swap it on every save\n  \
             nc 127.0.0.1 3000             # in another terminal, stay connected\n  \
             hotsocket test . {test}\n",
            dir = args.name.display(),
            guest = created.guest,
            test = new::TEST,
        )
    }))
}
