//! A first word that is neither a command nor a file.

use std::ffi::OsStr;
use std::path::Path;

use clap::CommandFactory;

/// How much alike a word and a command must be, from 0 to 1, to be taken for a slip of
/// the fingers; clap has the same for flags.
const ALIKE: f64 = 0.7;

/// What is wrong with the first argument, if it is no command, names no file, and
/// doesn't look as if it should.
pub(super) fn wrong(word: &OsStr) -> Option<String> {
    let path = Path::new(word);
    let looks_like_a_path = path.extension().is_some()
        || path.components().count() != 1
        || word
            .as_encoded_bytes()
            .first()
            .is_none_or(|first| *first == b'-');
    let command = super::Cli::command();
    let names: Vec<_> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    let is_command = names.iter().any(|name| word == *name) || word == "help";
    if looks_like_a_path || is_command || path.symlink_metadata().is_ok() {
        return None;
    }
    let text = word.to_string_lossy();
    let alike = |name: &&str| strsim::jaro(name, &text);
    let nearest = names
        .into_iter()
        .max_by(|a, b| alike(a).total_cmp(&alike(b)));
    let hint = match nearest.filter(|name| alike(name) > ALIKE) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "`hotsocket --help` lists the commands".to_owned(),
    };
    Some(format!("{text} is neither a command nor a file; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_files_are_none() {
        let told = |word: &str| wrong(OsStr::new(word));
        for (word, command) in [("srve", "serve"), ("stats", "status"), ("swpa", "swap")] {
            let told = told(word).expect("no command");
            assert!(
                told.ends_with(&format!("did you mean `{command}`?")),
                "{told}"
            );
        }
        assert!(
            told("xyzzy")
                .expect("no command")
                .ends_with("lists the commands")
        );
        for fine in [
            "serve",
            "help",
            "--json",
            "none.wasm",
            "no/where",
            "/",
            ".",
            "src",
        ] {
            assert_eq!(told(fine), None);
        }
    }
}
