//! What is wrong with a configuration, where, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

use super::watch::Stamps;

/// Names alike enough, from 0 to 1, for one to be taken for a slip of the fingers.
const ALIKE: f64 = 0.7;

/// A place in a file: line and column count from 1, columns in characters, as editors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// Of the byte with this offset.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        Place { line, column }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Problem {
    /// `None` where the command line is wrong, or the whole file.
    pub at: Option<Place>,
    /// In one line.
    pub message: String,
}

/// Everything that is wrong with a configuration, in the order of the file.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Problems {
    /// `None` where there is no file.
    pub file: Option<PathBuf>,
    pub all: Vec<Problem>,
    /// Files that it names and that were looked at, as they were before: a change of one
    /// may mend it.
    pub files: Stamps,
}

impl Problem {
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Problem {
            at: Some(place),
            message: message.into(),
        }
    }

    pub fn everywhere(message: impl Into<String>) -> Self {
        Problem {
            at: None,
            message: message.into(),
        }
    }
}

impl Problems {
    pub fn new(file: Option<&Path>, mut all: Vec<Problem>) -> Self {
        all.sort_by_key(|problem| problem.at);
        Problems {
            file: file.map(Path::to_owned),
            all,
            files: Stamps::new(),
        }
    }

    /// One line for each.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.all.iter().map(|problem| {
            let Problem { at, message } = problem;
            match (&self.file, at) {
                (Some(file), Some(Place { line, column })) => {
                    format!("{}:{line}:{column}: {message}", file.display())
                }
                (Some(file), None) => format!("{}: {message}", file.display()),
                (None, _) => message.clone(),
            }
        })
    }
}

impl fmt::Display for Problems {
    /// The first one, and how many there are besides.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().next().unwrap_or_default())?;
        match (self.all.len(), &self.file) {
            (0 | 1, _) | (_, None) => Ok(()),
            (count, Some(file)) => write!(
                f,
                "; and {} more: `hotsocket check {}` lists them",
                count - 1,
                file.display()
            ),
        }
    }
}

/// The name that was probably meant, as a hint.
pub(super) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    let alike = |name: &str| strsim::jaro(name, wrong);
    let nearest = names.max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest.filter(|name| alike(name) > ALIKE) {
        Some(name) => format!("; did you mean {name}?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_begin_at_one() {
        let text = "a\n  \u{e9}x\n";
        let at = |offset| {
            let Place { line, column } = Place::of(text, offset);
            (line, column)
        };
        assert_eq!(
            [at(0), at(2), at(4), at(6)],
            [(1, 1), (2, 1), (2, 3), (2, 4)]
        );
        assert_eq!(at(99), (3, 1));
    }
}
