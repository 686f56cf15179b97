//! Reads the list of files that a compiler has read, in the syntax of make:
//! `target: file file \`.
//!
//! Cargo writes one next to each artifact
//! (<https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files>), and
//! clang with `-MMD`
//! (<https://clang.llvm.org/docs/ClangCommandLineReference.html#dependency-file-generation>).

use std::path::PathBuf;

/// The files after the first colon.
pub(super) fn files(text: &str) -> Vec<PathBuf> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.starts_with('#'));
    let lists = lines.filter_map(|line| line.split_once(": ").map(|(_, list)| list));
    lists.flat_map(words).map(PathBuf::from).collect()
}

/// Words between spaces, in which a backslash stands before a space or `#`, and `$$` for
/// `$`.
fn words(list: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut rest = list.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if matches!(rest.peek(), Some(' ' | '#')) => word.extend(rest.next()),
            '$' if rest.peek() == Some(&'$') => word.extend(rest.next()),
            ' ' => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_and_clang_write_is_read() {
        let found = |text: &str| {
            files(text)
                .into_iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            found("/t/e.wasm: /a/b.rs /a/with\\ space.rs\n"),
            ["/a/b.rs", "/a/with space.rs"]
        );
        assert_eq!(
            found("handler.o: /a/x.c \\\n  /a/../y\\#.h \\\n  /a/$$z.h\n"),
            ["/a/x.c", "/a/../y#.h", "/a/$z.h"]
        );
        assert!(found("").is_empty() && found("x:\n# env-dep:A=B\n").is_empty());
    }
}
