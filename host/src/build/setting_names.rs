//! Which settings a guest reads, for `hotsocket inspect`: the names that stand as
//! literals in calls of the SDKs' `setting` in the author's sources.
//!
//! It looks at the text, the same for all languages, and so knows no name that is
//! computed; `inspect` says what the code names, not all that it may ask for.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hotsocket_sandbox::{MAX_SETTINGS, check_setting};

/// Larger files are not looked at, in bytes: nobody writes them by hand.
const MAX_FILE: u64 = 4 << 20;

/// The names in these files, sorted.
pub(super) fn of(inputs: &[PathBuf]) -> Vec<String> {
    let mut names = BTreeSet::new();
    for input in inputs.iter().filter(|input| super::is_source_file(input)) {
        let is_small = fs::metadata(input).is_ok_and(|file| file.len() <= MAX_FILE);
        if let Some(text) = is_small.then(|| fs::read_to_string(input).ok()).flatten() {
            text.lines().for_each(|line| find(line, &mut names));
        }
    }
    names.into_iter().take(MAX_SETTINGS).collect()
}

/// Add the names in a line: `setting("name")`, also as a method, or with a prefix as in
/// C (`hs_setting`).
fn find(line: &str, names: &mut BTreeSet<String>) {
    if ["//", "*", "/*", "#"]
        .iter()
        .any(|comment| line.trim_start().starts_with(comment))
    {
        return;
    }
    for (_, rest) in line
        .match_indices("setting")
        .map(|(at, word)| line.split_at(at + word.len()))
    {
        let Some(argument) = rest.trim_start().strip_prefix('(') else {
            continue;
        };
        let argument = argument.trim_start();
        let name = ['"', '\'', '`'].iter().find_map(|quote| {
            let (name, _) = argument.strip_prefix(*quote)?.split_once(*quote)?;
            Some(name)
        });
        if let Some(name) = name.filter(|name| !name.contains(['\\', '$', '{']))
            && check_setting(name, "").is_ok()
        {
            names.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let mut names = BTreeSet::new();
        text.lines().for_each(|line| find(line, &mut names));
        names.into_iter().collect()
    }

    #[test]
    fn literals_are_found_in_every_language() {
        let text = r#"
            let greeting = environment::setting("greeting").unwrap_or_default();
            const motd = socket.hotsocket?.setting('motd') ?? `none`, name = setting( `name` );
            limit = environment.setting("limit", "10")
            const char *user = hs_setting("user");
            // setting("in a comment")
            let computed = setting(&name); setting(`a${b}`); settings("no"); setting("");
        "#;
        assert_eq!(names(text), ["greeting", "limit", "motd", "name", "user"]);
    }
}
