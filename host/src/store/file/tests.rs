//! Damage to a file, wherever it is: it is found or does no harm, and nothing panics.

use std::path::Path;

use super::*;

const KEYS_WRITTEN: usize = 200;

/// Of a file with some keys, and what is in it.
fn whole(dir: &Path) -> Vec<u8> {
    let path = dir.join("whole");
    let mut file = File::open(&path).expect("a new file");
    let keys: Vec<_> = (0..KEYS_WRITTEN).map(|it| format!("key {it}")).collect();
    for part in keys.chunks(50) {
        let value = [7; 100];
        let rows = part
            .iter()
            .map(|key| ("bucket", &**key, Some((None, &value[..]))));
        file.write(rows).expect("room");
    }
    drop(file);
    fs::read(path).expect("a file")
}

/// What a server that starts with such a file does: how many keys it finds.
fn read(path: &Path, bytes: &[u8]) -> Result<usize, FileError> {
    fs::write(path, bytes).expect("a file");
    let mut keys = 0;
    File::open(path)?.read(|row| {
        assert_eq!(
            (row.bucket, row.value),
            ("bucket", &[7; 100][..]),
            "damage that is not found"
        );
        keys += 1;
        Ok(())
    })?;
    Ok(keys)
}

#[test]
fn damage_is_found_and_nothing_panics() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = whole(dir.path());
    let path = dir.path().join("damaged");
    assert_eq!(read(&path, &whole).expect("all"), KEYS_WRITTEN);
    let mut found = 0;
    let mut damaged = |bytes: &[u8], what: &dyn Fn() -> String| match read(&path, bytes) {
        Ok(keys) => assert!(keys <= KEYS_WRITTEN, "{}: {keys}", what()),
        Err(_) => found += 1,
    };
    let flips = (0..320).chain((320..whole.len()).step_by(211));
    for at in flips {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        damaged(&bytes, &|| format!("bit {} of byte {at}", at % 8));
    }
    for length in (1..whole.len()).step_by(1024) {
        damaged(&whole[..length], &|| format!("{length} bytes"));
    }
    for page in (0..whole.len()).step_by(4096) {
        let mut bytes = whole.clone();
        bytes[page..].iter_mut().take(4096).for_each(|it| *it = 0);
        damaged(&bytes, &|| format!("a page of zeros at {page}"));
    }
    assert!(found > 0, "no damage is found");
}

#[test]
fn a_link_in_the_way_of_a_new_file_is_not_followed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, other) = (dir.path().join("store"), dir.path().join("other"));
    fs::write(&other, "its content").expect("a file");
    let new = format!("store.{}.new", std::process::id());
    std::os::unix::fs::symlink(&other, dir.path().join(new)).expect("a link");
    assert!(File::open(&path).is_ok());
    assert_eq!(fs::read(&other).expect("a file"), b"its content");
    assert!(fs::symlink_metadata(&path).expect("a store").is_file());
}
