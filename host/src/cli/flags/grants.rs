//! The flags about what guests get: grants and settings.

use std::path::PathBuf;

use hotsocket_sandbox::{Grants, MAX_SETTINGS, Settings};

use crate::cli::parse;
use crate::limits::LimitError;

const GRANTS: &str = "Grants to guests (none by default)";
const SETTINGS: &str = "Settings of guests";

/// See the module's documentation.
#[derive(Debug, clap::Args)]
pub(super) struct GrantFlags {
    /// Grant a directory, as HOST or HOST::GUEST; may be given several times
    #[arg(long, value_name = "DIR", value_parser = parse::directory, help_heading = GRANTS, hide_short_help = true)]
    dir: Vec<(PathBuf, String)>,

    /// Grant an environment variable, as NAME or NAME=VALUE; may be given several times
    #[arg(long, value_name = "VAR", value_parser = parse::variable, help_heading = GRANTS, hide_short_help = true)]
    env: Vec<(String, String)>,

    /// Grant the network: guests may open sockets of their own
    #[arg(long, help_heading = GRANTS, hide_short_help = true)]
    allow_net: bool,

    /// Give guests a setting, as NAME=VALUE, or as NAME with the value of that environment variable; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse::setting, help_heading = SETTINGS)]
    set: Vec<(String, String)>,
}

impl GrantFlags {
    /// The grants and the settings that they stand for.
    ///
    /// # Errors
    /// As [`settings`].
    pub(super) fn grants(self) -> Result<(Grants, Settings), LimitError> {
        let grants = Grants {
            dirs: self.dir,
            env: self.env,
            net: self.allow_net,
        };
        Ok((grants, settings(self.set)?))
    }
}

/// The settings that `--set` stands for; of one that is given twice, the last.
///
/// # Errors
/// When there are too many.
pub(in crate::cli) fn settings(given: Vec<(String, String)>) -> Result<Settings, LimitError> {
    let count = given.len();
    let mut settings = Settings::default();
    for (name, value) in given {
        settings.set(name, value).map_err(|_| LimitError {
            flag: "set",
            value: format!("({count} times)"),
            expected: format!("given for at most {MAX_SETTINGS} names"),
        })?;
    }
    Ok(settings)
}
