//! Which of the user's settings pip obeys when it installs the program that builds: where
//! packages come from and how they are reached. Others (`target`, `prefix`, `user`,
//! `constraint`…) are meant for other installations.

use std::ffi::OsString;
use std::process::Command;

/// Settings that are passed on, as pip's files call them.
const KEPT: [&str; 13] = [
    "index-url",
    "extra-index-url",
    "no-index",
    "find-links",
    "trusted-host",
    "cert",
    "client-cert",
    "proxy",
    "timeout",
    "default-timeout",
    "cache-dir",
    "no-cache-dir",
    "keyring-provider",
];

/// Sections that count for an installation, the strongest last.
/// <https://pip.pypa.io/en/stable/topics/configuration/#precedence-override-order>
const SECTIONS: [&str; 3] = ["global.", "install.", ":env:."];

/// Take all of pip's settings from its environment and files, and give it those that are
/// kept. `listed` is what `pip config list` prints.
pub(super) fn configure(command: &mut Command, listed: &str) {
    clear(command);
    command.env("PIP_CONFIG_FILE", "/dev/null");
    command.envs(kept(listed));
}

/// Remove pip's variables.
pub(super) fn clear(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PIP_") {
            command.env_remove(name);
        }
    }
}

/// Variables with the settings that are kept.
fn kept(listed: &str) -> Vec<(String, OsString)> {
    let mut kept = Vec::new();
    for section in SECTIONS {
        for line in listed.lines() {
            let setting = line
                .strip_prefix(section)
                .and_then(|line| line.split_once('='));
            if let Some((name, value)) = setting
                && KEPT.contains(&name)
            {
                let variable = format!("PIP_{}", name.to_uppercase().replace('-', "_"));
                // Printed as Python's `repr`; several values stand in lines of their own.
                let value = value.trim_matches(['\'', '"']).replace("\\n", " ");
                kept.push((variable, value.trim().into()));
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_packages_come_from_is_kept_and_where_they_go_is_not() {
        let listed = "install.target='/elsewhere'\ninstall.index-url='https://b/simple'\n\
                      global.index-url='https://a/simple'\nglobal.user='true'\n\
                      global.extra-index-url='\\nhttps://c\\nhttps://d'\n\
                      :env:.prefix='/p'\n:env:.cert='/ca.pem'\nfreeze.cert='/no'\n";
        let mut command = Command::new("pip");
        configure(&mut command, listed);
        let set: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some(format!("{}={}", name.display(), value?.display())))
            .collect();
        assert_eq!(
            set,
            [
                "PIP_CERT=/ca.pem",
                "PIP_CONFIG_FILE=/dev/null",
                "PIP_EXTRA_INDEX_URL=https://c https://d",
                "PIP_INDEX_URL=https://b/simple",
            ]
        );
    }
}
