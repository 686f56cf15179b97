//! `hotsocket new`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{done, wrong_usage};
use crate::new::{self, Language, NewError};

/// Begin a guest: a directory with its source, a test, and how to go on
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory to make; its name becomes that of the guest
    name: PathBuf,

    /// What the guest is written in
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,
}

pub fn run(args: &Args) -> ExitCode {
    let result = new::create(&args.name, args.lang);
    if let Err(error @ NewError::Name { .. }) = result {
        return wrong_usage(error);
    }
    done(result.map(|created| {
        format!(
            "made {dir}: {guest} is the guest, {test} its test\n\n  \
             cd {dir}\n  \
             hotsocket dev                 # serves it; what you save is swapped in\n  \
             nc 127.0.0.1 3000             # in another terminal, and go on typing there\n  \
             hotsocket test {source} {test}\n",
            dir = args.name.display(),
            guest = created.guest,
            source = created.source,
            test = new::TEST,
        )
    }))
}
