//! From a TOML value to what a flag takes: text. Paths become absolute, as those in a file
//! are relative to it, and secrets are fetched from where the file says.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::keys::{Key, Kind};
use crate::guest_file;
use crate::output::escape::is_obeyed;

/// One value of a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// As the flag takes it.
    pub text: String,
    /// As the file has it: a TOML value, or `NAME = VALUE` of an inline table. Without
    /// what was fetched from elsewhere.
    pub shown: String,
}

/// The largest file that a value is read from, in bytes.
const MAX_SECRET: usize = 64 << 10;

impl Item {
    /// A value that was given as text, on the command line.
    pub fn given(key: &Key, text: String) -> Self {
        let shown = match (key.kind, text.split_once('=')) {
            (Kind::Variable, Some((name, value))) => format!("{} = {}", quote(name), quote(value)),
            (Kind::Variable, None) => format!("{0} = {{ env = {0} }}", quote(&text)),
            _ => shown(key, &text),
        };
        Item { text, shown }
    }
}

/// A value as the file would have it.
pub(super) fn shown(key: &Key, text: &str) -> String {
    let is_number = || text.parse::<i64>().is_ok();
    match key.kind {
        Kind::Flag | Kind::Count => text.to_owned(),
        Kind::Number if is_number() => text.to_owned(),
        _ => quote(text),
    }
}

/// A basic string, or as a key a quoted one.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_obeyed(c) => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The values that a key of the file stands for; `base` is the directory of the file.
///
/// # Errors
/// What is wrong with it, without its name.
pub(super) fn items(key: &Key, value: &DeValue<'_>, base: &Path) -> Result<Vec<Item>, String> {
    match (key.kind, value) {
        (Kind::Flag, DeValue::Boolean(value)) => Ok(vec![Item::given(key, value.to_string())]),
        (Kind::Flag, _) => Err("takes true or false".to_owned()),
        (Kind::Count, value) => match integer(value) {
            Some(count @ 0..=9) => Ok(vec![Item::given(key, count.to_string())]),
            _ => Err("takes a number from 0 to 9".to_owned()),
        },
        (Kind::Variable, DeValue::Table(table)) => variables(table, base),
        (_, DeValue::Array(values)) if key.is_list => {
            let values = values.iter();
            values
                .map(|value| item(key, value.get_ref(), base))
                .collect()
        }
        (_, DeValue::Array(_)) => Err("takes one value, not a list".to_owned()),
        (_, value) => Ok(vec![item(key, value, base)?]),
    }
}

fn item(key: &Key, value: &DeValue<'_>, base: &Path) -> Result<Item, String> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        value => match (key.kind, integer(value)) {
            (Kind::Number, Some(number)) => number.to_string(),
            (Kind::Number, None) => return Err("takes a number or a string".to_owned()),
            (Kind::Variable, _) => return Err("takes a table, or strings NAME=VALUE".to_owned()),
            _ => return Err("takes a string".to_owned()),
        },
    };
    let text = match key.kind {
        Kind::Path => absolute(base, &text)?,
        Kind::PathOr(word) if text != word => absolute(base, &text)?,
        Kind::PathOrUrl if !text.contains("://") => absolute(base, &text)?,
        Kind::Directory => {
            let (host, guest) = text.split_once("::").unwrap_or((&text, &text));
            format!("{}::{guest}", absolute(base, host)?)
        }
        Kind::Address => match text.strip_prefix("unix:") {
            Some(path) if !path.starts_with('@') && !path.is_empty() => {
                format!("unix:{}", absolute(base, path)?)
            }
            _ => text,
        },
        _ => text,
    };
    Ok(Item::given(key, text))
}

fn absolute(base: &Path, path: &str) -> Result<String, String> {
    let joined = joined(base, path).into_os_string().into_string();
    joined.map_err(|path| not_utf8(&path))
}

/// Without the `./` of a file that is named without a directory.
fn joined(base: &Path, path: &str) -> PathBuf {
    base.join(path).components().collect()
}

/// A path that would become another one as text, as which flags have their values here.
pub(super) fn not_utf8(path: &OsStr) -> String {
    format!("the path {} is not UTF-8: rename it", path.display())
}

/// The files that are looked at for the values of a key: those that have a value, and
/// directories, if there are none yet. What is written into one that is there changes nothing.
pub(super) fn files(key: &Key, value: &DeValue<'_>, base: &Path) -> Vec<PathBuf> {
    let texts = match value {
        DeValue::Array(values) => values.iter().map(|value| value.get_ref()).collect(),
        value => vec![value],
    };
    let directory = |text: &str| {
        let host = text.split_once("::").map_or(text, |(host, _)| host);
        Some(joined(base, host)).filter(|host| !host.is_dir())
    };
    let file = |value: &DeValue<'_>| {
        let place = value.get("file")?.get_ref().as_str()?;
        Some(joined(base, place))
    };
    match (key.kind, value) {
        (Kind::Directory, _) => {
            let texts = texts.into_iter().filter_map(DeValue::as_str);
            texts.filter_map(directory).collect()
        }
        (Kind::Variable, DeValue::Table(table)) => {
            let values = table.iter().map(|(_, value)| value.get_ref());
            values.filter_map(file).collect()
        }
        _ => Vec::new(),
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// `{ NAME = "VALUE", OTHER = { env = "VARIABLE" }, LAST = { file = "PATH" } }`
fn variables(table: &DeTable<'_>, base: &Path) -> Result<Vec<Item>, String> {
    let variable = |name: &str, value: &DeValue<'_>| {
        let (text, shown) = match value {
            DeValue::String(text) => (text.to_string(), quote(text)),
            DeValue::Table(from) => {
                elsewhere(from, base).map_err(|error| format!("{name} {error}"))?
            }
            _ => {
                return Err(format!(
                    "{name} takes a string, {{ env = … }} or {{ file = … }}"
                ));
            }
        };
        let shown = format!("{} = {shown}", quote(name));
        match name.contains('=') {
            true => Err(format!("{name:?} is no name: it has a =")),
            false => Ok(Item {
                text: format!("{name}={text}"),
                shown,
            }),
        }
    };
    let variables = table.iter();
    variables
        .map(|(name, value)| variable(name.get_ref(), value.get_ref()))
        .collect()
}

/// A value that the file doesn't have itself, and where it is.
fn elsewhere(table: &DeTable<'_>, base: &Path) -> Result<(String, String), String> {
    let mut entries = table.iter();
    let (Some((from, place)), None) = (entries.next(), entries.next()) else {
        return Err("takes either env or file".to_owned());
    };
    let Some(place) = place.get_ref().as_str() else {
        return Err(format!("takes a string as {}", from.get_ref()));
    };
    match from.get_ref().as_ref() {
        "env" => match std::env::var(place) {
            Ok(value) => Ok((value, format!("{{ env = {} }}", quote(place)))),
            Err(_) => Err(format!("comes from the variable {place}, which is not set")),
        },
        "file" => {
            let path = absolute(base, place);
            let path = path.map_err(|error| format!("comes from a file, but {error}"))?;
            let value = secret(Path::new(&path));
            let value = value.map_err(|error| format!("comes from {path}: {error}"))?;
            Ok((value, format!("{{ file = {} }}", quote(&path))))
        }
        other => Err(format!("takes env or file, not {other}")),
    }
}

/// The text of a small file, without the end of its last line.
fn secret(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| crate::os_error::message(&error);
    let bytes = guest_file::read(path, MAX_SECRET).map_err(failed)?;
    if bytes.len() > MAX_SECRET {
        return Err(format!("it is larger than {MAX_SECRET} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_text_of_a_small_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        for (bytes, expected) in [
            (b"word\r\n".to_vec(), Ok("word")),
            (b"two\nlines\n".to_vec(), Ok("two\nlines")),
            (b"\xff\n".to_vec(), Err("it is no text in UTF-8")),
            (
                vec![b'x'; MAX_SECRET + 1],
                Err("it is larger than 65536 bytes"),
            ),
        ] {
            std::fs::write(&path, bytes).expect("written");
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(secret(&path), expected);
        }
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).expect("a FIFO");
        let why = secret(&fifo).expect_err("nobody writes to it");
        assert!(why.contains("it is a FIFO"), "{why}");
    }
}
