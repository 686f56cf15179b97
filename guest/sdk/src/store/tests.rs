//! Buckets on the recorder's store.

use super::*;
use crate::testing::Session;
use crate::{Connection, Handler};

#[derive(Default)]
struct Idle;

impl Handler for Idle {
    fn data(&mut self, _: &Connection, _: &[u8]) {}
}

fn open() -> (Session<Idle>, Bucket) {
    (Session::open(), Bucket::open("").expect("a bucket"))
}

#[test]
fn keys_live_on_the_sessions_clock() {
    let (mut session, bucket) = open();
    let seconds = Duration::from_secs;
    bucket.set_for("k", "v", seconds(10)).expect("room");
    session.advance(seconds(4));
    assert_eq!(bucket.life("k"), Ok(Some(Life::For(seconds(6)))));
    assert_eq!(bucket.set_if_absent("k", "w"), Ok(false));
    let session = session.close_and_open();
    assert_eq!(bucket.get("k"), Ok(Some(b"v".to_vec())));
    let mut session = session.close_and_open();
    session.advance(seconds(6));
    assert_eq!(bucket.exists("k"), Ok(false));
    assert_eq!(bucket.set_life("k", Life::Forever), Ok(false));
}

#[test]
fn a_swap_fails_if_the_value_has_changed() {
    let (_session, bucket) = open();
    let seen = bucket.compare_and_swap("k").expect("a look");
    bucket.set("k", "1").expect("room");
    let Err(SwapError::Changed(seen)) = seen.swap("2") else {
        panic!("it was changed");
    };
    assert_eq!(seen.current(), Ok(Some(b"1".to_vec())));
    seen.swap("2").expect("nobody else");
    let doubled = bucket.update("k", |old| old.unwrap_or_default().repeat(2));
    assert_eq!(doubled, Ok(b"22".to_vec()));
    assert_eq!(bucket.increment("k", -2), Ok(20));
}

#[test]
fn buckets_keep_their_keys_apart_and_list_them() {
    let (_session, bucket) = open();
    bucket
        .set_many(&[("a1", "x"), ("a2", "y"), ("b", "z")])
        .expect("room");
    let other = Bucket::open("other").expect("a bucket");
    assert_eq!(other.get_many(&["a1", "b"]), Ok(vec![None, None]));
    assert_eq!(bucket.keys("a"), Ok(vec!["a1".to_owned(), "a2".to_owned()]));
    let page = bucket.page("", None, 2).expect("keys");
    let rest = bucket.page("", page.cursor.as_deref(), 2).expect("keys");
    assert_eq!(
        (page.keys.len(), rest.keys.len(), rest.cursor),
        (2, 1, None)
    );
    assert!(matches!(
        bucket.increment("b", 1),
        Err(StoreError::Other(_))
    ));
    assert!(matches!(bucket.get(""), Err(StoreError::Other(_))));
}
