//! The compiled functions of large components, kept for the next version.
//!
//! A guest in Python or JavaScript carries an interpreter; two versions of it differ in
//! their data and in next to no code. So the functions of the large components
//! that were compiled last are kept on disk, and the next one compiles only
//! those that are not among them. The file begins with those of the last one; older ones
//! follow as far as there is room, so that a guest in one language does not cost one in another
//! its functions. It holds what becomes machine code, so it
//! is a [`CheckedFile`] in the directory of [`crate::code_cache`].
//!
//! Whether two functions are the same is the compiler's decision: they have the
//! same key.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use wasmtime::CacheStore;

use crate::checked_file::{self, CheckedFile, Unusable};

/// Smaller components compile fast enough, and would only evict the functions of a
/// large one.
const LARGE: usize = 4 << 20;
/// The most that is kept of the last component, in bytes.
const MAX_KEPT: usize = 256 << 20;
/// The most that is kept with those of older components, in bytes: all of it is read for each
/// compilation. Python's interpreter takes 27 MB, that of JavaScript 6.
const MAX_OLDER: usize = 64 << 20;
/// What the lengths of a key and its code take in the file, in bytes.
const LENGTHS: usize = 8;

/// The cache. Call [`Self::keep_in`] once, then [`Self::begin`] for each
/// compilation.
#[derive(Debug, Default)]
pub struct FunctionCache {
    path: OnceLock<PathBuf>,
    /// Only while a large component is being compiled.
    open: Mutex<Option<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    /// By the compiler's key. Those that no compilation under way has asked for
    /// are of an older version.
    functions: HashMap<Vec<u8>, Function>,
    compilations: usize,
    size: usize,
    added: bool,
}

#[derive(Debug)]
struct Function {
    code: Arc<[u8]>,
    /// A compilation under way has asked for it.
    used: bool,
    /// Where it lay in the file, in which those that were used last come first.
    place: usize,
}

/// A compilation in progress. When the last one is dropped, the file is written.
pub struct Compilation<'a> {
    cache: Option<&'a FunctionCache>,
    damage: Option<String>,
}

impl Compilation<'_> {
    /// A line for the log, if the functions that were kept could not be used.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }
}

impl FunctionCache {
    /// Keep functions in this file. Without it none are kept.
    pub fn keep_in(&self, path: PathBuf) {
        // Set once, when the server starts.
        let _ = self.path.set(path);
    }

    /// A component of this size is about to be compiled.
    pub fn begin(&self, size: usize) -> Compilation<'_> {
        let Some(path) = self.path.get().filter(|_| size >= LARGE) else {
            return Compilation {
                cache: None,
                damage: None,
            };
        };
        let mut damage = None;
        let mut open = self.open.lock();
        let open = open.get_or_insert_with(|| {
            let kept = load(path).unwrap_or_else(|why| {
                damage = Some(checked_file::discard(path, &why));
                Vec::new()
            });
            Open {
                functions: read(&kept),
                ..Open::default()
            }
        });
        open.compilations += 1;
        Compilation {
            cache: Some(self),
            damage,
        }
    }

    fn end(&self) {
        let mut slot = self.open.lock();
        let Some(open) = slot.as_mut() else { return };
        open.compilations -= 1;
        if open.compilations > 0 {
            return;
        }
        let closed = slot.take();
        drop(slot);
        if let (Some(open), Some(path)) = (closed, self.path.get())
            && open.added
            && let Err(error) = checked_file::write(path, &write(&open))
        {
            tracing::debug!("{}: {error}", path.display());
        }
    }
}

impl Drop for Compilation<'_> {
    fn drop(&mut self) {
        if let Some(cache) = self.cache {
            cache.end();
        }
    }
}

impl CacheStore for FunctionCache {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let code = {
            let mut open = self.open.lock();
            let function = open.as_mut()?.functions.get_mut(key)?;
            function.used = true;
            Arc::clone(&function.code)
        };
        Some(Cow::Owned(code.to_vec()))
    }

    fn insert(&self, key: &[u8], code: Vec<u8>) -> bool {
        let mut open = self.open.lock();
        let Some(open) = open.as_mut() else {
            return false;
        };
        open.size += key.len() + code.len();
        if open.size > MAX_KEPT {
            return false;
        }
        open.added = true;
        let function = Function {
            code: code.into(),
            used: true,
            place: 0,
        };
        open.functions.insert(key.to_vec(), function);
        true
    }
}

/// What was kept by an earlier compilation; nothing if there was none.
fn load(path: &Path) -> Result<Vec<u8>, Unusable> {
    let Some(kept) = CheckedFile::open(path, MAX_KEPT as u64)? else {
        return Ok(Vec::new());
    };
    kept.touch();
    Ok(kept.content()?)
}

/// Each function as the lengths of its key and its code, then both.
fn write(open: &Open) -> Vec<u8> {
    let mut out = Vec::new();
    let mut functions: Vec<_> = open.functions.iter().collect();
    functions.sort_by_key(|(_, function)| (!function.used, function.place));
    for (key, function) in functions {
        let code = &function.code;
        let lengths = (u32::try_from(key.len()), u32::try_from(code.len()));
        let (Ok(key_length), Ok(code_length)) = lengths else {
            continue;
        };
        let most = if function.used { MAX_KEPT } else { MAX_OLDER };
        if out.len() + LENGTHS + key.len() + code.len() <= most {
            out.extend_from_slice(&key_length.to_le_bytes());
            out.extend_from_slice(&code_length.to_le_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(code);
        }
    }
    out
}

/// The inverse of [`write()`]. Stops at the first function that is damaged.
fn read(mut kept: &[u8]) -> HashMap<Vec<u8>, Function> {
    fn part<'a>(kept: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (part, rest) = kept.split_at_checked(length)?;
        *kept = rest;
        Some(part)
    }
    fn number(kept: &mut &[u8]) -> Option<usize> {
        let bytes = part(kept, 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }
    let mut functions = HashMap::new();
    let mut next = || {
        let (key, code) = (number(&mut kept)?, number(&mut kept)?);
        Some((part(&mut kept, key)?, part(&mut kept, code)?))
    };
    while let Some((key, code)) = next() {
        let function = Function {
            code: code.into(),
            used: false,
            place: functions.len(),
        };
        functions.insert(key.to_vec(), function);
    }
    functions
}

/// Read bytes as if they had been kept, and what is made of them once more.
#[cfg(any(test, feature = "fuzzing"))]
pub fn read_again(kept: &[u8]) {
    let functions = |kept: &[u8]| {
        let mut functions = read(kept);
        functions
            .values_mut()
            .for_each(|function| function.used = true);
        functions
    };
    let open = Open {
        functions: functions(kept),
        ..Open::default()
    };
    let written = write(&open);
    assert!(written.len() <= kept.len(), "more than was kept");
    let again = functions(&written);
    assert_eq!(again.len(), open.functions.len());
    for (key, function) in &open.functions {
        assert!(
            again
                .get(key)
                .is_some_and(|found| found.code == function.code)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(dir: &tempfile::TempDir) -> FunctionCache {
        let cache = FunctionCache::default();
        cache.keep_in(dir.path().join("functions"));
        cache
    }

    #[test]
    fn the_next_compilation_finds_what_the_last_one_used() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = cache(&dir);
        let compilation = first.begin(LARGE);
        assert!(first.insert(b"old", vec![1; 10]) && first.insert(b"same", vec![2; 20]));
        drop(compilation);

        let second = cache(&dir);
        let compilation = second.begin(LARGE);
        assert_eq!(second.get(b"same").as_deref(), Some(&[2; 20][..]));
        assert!(second.insert(b"new", vec![3]));
        drop(compilation);

        let third = cache(&dir);
        let _compilation = third.begin(LARGE);
        let found = |key: &[u8]| third.get(key).is_some();
        assert!(found(b"same") && found(b"new") && found(b"old"));
    }

    #[test]
    fn what_was_used_longest_ago_has_to_go() {
        let mut kept = Vec::new();
        let mut compile = |used: &[&[u8]]| {
            let cache = FunctionCache::default();
            *cache.open.lock() = Some(Open {
                functions: read(&kept),
                ..Open::default()
            });
            let found = used.iter().map(|key| {
                let found = cache.get(key).is_some();
                found || !cache.insert(key, vec![0; MAX_OLDER / 3])
            });
            let found = found.collect::<Vec<_>>();
            kept = write(cache.open.lock().as_ref().expect("open"));
            found
        };
        assert_eq!(compile(&[b"a"]), [false]);
        assert_eq!(compile(&[b"b"]), [false]);
        // Three do not fit: each key takes room, too.
        assert_eq!(compile(&[b"a", b"c"]), [true, false]);
        assert_eq!(compile(&[b"c", b"d"]), [true, false]);
        assert_eq!(compile(&[b"a", b"b"]), [false, false]);
        // What one component uses is kept, even if it is more.
        assert_eq!(
            compile(&[b"a", b"b", b"c", b"d"]),
            [true, true, false, false]
        );
        assert_eq!(
            compile(&[b"a", b"b", b"c", b"d", b"e"]),
            [true, true, true, true, false]
        );
    }

    #[test]
    fn small_components_are_not_cached() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = cache(&dir);
        let _small = cache.begin(LARGE - 1);
        assert!(!cache.insert(b"key", vec![1]));
        assert!(cache.get(b"key").is_none());
    }

    #[test]
    fn a_damaged_file_is_read_as_far_as_it_goes() {
        let mut open = Open::default();
        let function = || Function {
            code: [7; 9][..].into(),
            used: true,
            place: 0,
        };
        open.functions.insert(b"a".to_vec(), function());
        open.functions.insert(b"b".to_vec(), function());
        let whole = write(&open);
        assert_eq!(read(&whole).len(), 2);
        assert_eq!(read(&whole[..whole.len() - 1]).len(), 1);
        assert_eq!(read(&[0xff; 100]).len(), 0);
    }
}
