//! What a single file asks of its build, in a comment at its top:
//!
//! ```text
//! // hotsocket: features = ["wasi"]
//! ```
//!
//! A package says the same in its `Cargo.toml`.

use std::path::Path;

use super::Error;

/// The features of the SDK.
pub(super) const FEATURES: &[&str] = &["wasi", "state"];

/// The features that a file turns on. The comments before its first item are
/// looked at, and nothing after them.
pub(super) fn features(source: &[u8], path: &Path) -> Result<Vec<String>, Error> {
    let mut features = Vec::new();
    let source = String::from_utf8_lossy(source);
    let lines = source.lines().map(str::trim).zip(1..);
    let is_head = |line: &str| line.is_empty() || line.starts_with("//") || line.starts_with("#!");
    for (text, line) in lines.take_while(|(line, _)| is_head(line)) {
        let setting = text.strip_prefix("//").map(str::trim_start);
        let Some(setting) = setting.and_then(|text| text.strip_prefix("hotsocket:")) else {
            continue;
        };
        let wrong = |problem: String| Error::Settings {
            path: path.to_owned(),
            line,
            problem,
        };
        let value = setting
            .split_once('=')
            .filter(|(key, _)| key.trim() == "features");
        let (_, value) = value.ok_or_else(|| wrong("not a setting of a guest".to_owned()))?;
        // TOML's list of strings, as far as JSON has it, too.
        let listed: Vec<String> = serde_json::from_str(value.trim())
            .map_err(|_| wrong(format!("`{}` is not a list of features", value.trim())))?;
        if let Some(unknown) = listed
            .iter()
            .find(|name| !FEATURES.contains(&name.as_str()))
        {
            return Err(wrong(format!("the SDK has no feature `{unknown}`")));
        }
        features.extend(listed);
    }
    features.sort();
    features.dedup();
    Ok(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Result<Vec<String>, String> {
        features(source.as_bytes(), Path::new("x.rs")).map_err(|error| error.to_string())
    }

    #[test]
    fn features_are_read_from_the_comments_at_the_top() {
        let on = Ok(vec!["wasi".to_owned()]);
        assert_eq!(read("// hotsocket: features = [\"wasi\"]\nuse x;"), on);
        assert_eq!(read("//! Doc.\n\n//hotsocket:features=[\"wasi\"]\n"), on);
        assert_eq!(
            read("use x;\n// hotsocket: features = [\"wasi\"]\n"),
            Ok(vec![])
        );
        assert_eq!(read("//! A server with hotsocket: fast.\n"), Ok(vec![]));
    }

    #[test]
    fn a_wrong_setting_names_its_line_and_the_right_form() {
        for (setting, problem) in [
            ("feature = [\"wasi\"]", "not a setting of a guest"),
            ("features = wasi", "`wasi` is not a list of features"),
            ("features = [\"wsai\"]", "the SDK has no feature `wsai`"),
        ] {
            let error = read(&format!("//! Doc.\n// hotsocket: {setting}\n")).expect_err("wrong");
            assert!(
                error.starts_with(&format!("line 2 of x.rs: {problem}; write `")),
                "{error}"
            );
            assert!(error.ends_with("with any of: wasi, state"), "{error}");
        }
    }

    #[test]
    fn the_features_are_those_of_the_sdk() {
        let manifest = super::super::RUST_SDK
            .iter()
            .find(|(path, _)| path.ends_with("sdk/Cargo.toml"));
        let (_, manifest) = manifest.expect("the manifest");
        let section = manifest.split("[features]").nth(1).expect("features");
        let section = section.split("\n[").next().expect("a section");
        let names = section.lines().filter_map(|line| line.split_once(" = ["));
        let names: Vec<_> = names.map(|(name, _)| name).collect();
        assert_eq!(names, FEATURES);
    }
}
