//! What the index finds, against the rules of NATS token by token.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::topics::slice::SLICE;

/// All slices together.
fn ids(mut slice: impl FnMut(u64) -> Option<Slice>) -> Option<Vec<u64>> {
    let mut all = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next {
        let slice = slice(from)?;
        all.extend(slice.subscribers.iter().map(|it| it.mailbox.connection()));
        next = slice.next;
    }
    Some(all)
}

fn subscriber(connection: u64, number: u32) -> Subscriber {
    Subscriber {
        mailbox: Mailbox::for_tests(connection),
        delivery: Delivery::Event,
        when_full: WhenFull::Close,
        number,
    }
}

/// As NATS documents it, token by token.
fn matches(pattern: &str, topic: &str) -> bool {
    let (mut pattern, mut topic) = (pattern.split('.'), topic.split('.'));
    loop {
        match (pattern.next(), topic.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "*"])
}

prop_compose! {
    fn pattern()(tokens in prop::collection::vec(token(), 1..4), rest in any::<bool>()) -> String {
        let pattern = tokens.join(".");
        if rest { format!("{pattern}.>") } else { pattern }
    }
}

proptest! {
    #[test]
    fn finds_what_matches_and_forgets_all(
        subscriptions in prop::collection::vec((pattern(), 1_u64..5), 0..20),
        topic in prop::collection::vec(prop::sample::select(vec!["a", "b"]), 1..5),
    ) {
        let topic = topic.join(".");
        let mut index = Index::default();
        let mut first = BTreeSet::new();
        for (number, (pattern, connection)) in subscriptions.iter().enumerate() {
            let is_first = index.insert(pattern, subscriber(*connection, number as u32));
            prop_assert_eq!(is_first, first.insert(pattern));
        }
        let found = ids(|from| Some(index.matching(&topic, from, 1))).unwrap_or_default();
        let mut expected: Vec<_> = subscriptions
            .iter()
            .filter(|(pattern, _)| matches(pattern, &topic))
            .map(|(_, connection)| *connection)
            .collect();
        expected.sort_unstable();
        expected.dedup();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(index.count(&topic), expected.len());
        // Each connection is found under one of the patterns, once.
        let patterns: BTreeSet<_> = subscriptions.iter().map(|(pattern, _)| pattern).collect();
        let mut by_pattern = Vec::new();
        for pattern in &patterns {
            let found = ids(|from| index.matching_first(&topic, pattern, from));
            prop_assert_eq!(found.is_some(), matches(pattern, &topic));
            by_pattern.extend(found.unwrap_or_default());
        }
        by_pattern.sort_unstable();
        prop_assert_eq!(by_pattern, found);
        let mut last = 0;
        for (pattern, connection) in &subscriptions {
            last += usize::from(index.remove(pattern, *connection));
        }
        prop_assert_eq!(last, patterns.len());
        prop_assert!(index.exact.is_empty() && index.patterns.children.is_empty());
    }
}

#[test]
fn the_first_of_several_subscriptions_counts() {
    let mut index = Index::default();
    let direct = Subscriber {
        delivery: Delivery::Direct,
        ..subscriber(1, 0)
    };
    index.insert("a.*", direct);
    index.insert("a.b", subscriber(1, 1));
    let found = index.matching("a.b", 0, 1).subscribers;
    assert_eq!(found.len(), 1);
    assert!(found.iter().all(|it| it.delivery == Delivery::Direct));
    let listed: Vec<_> = index.list(100).into_iter().map(|it| it.pattern).collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
}

#[test]
fn many_are_found_in_slices() {
    let mut index = Index::default();
    for connection in 1..=1000 {
        index.insert("a.*", subscriber(connection, 1));
        index.insert("*.b", subscriber(connection * 2, 0));
    }
    let first = index.matching("a.b", 0, 1);
    assert_eq!((first.subscribers.len(), first.next), (SLICE, Some(257)));
    let all = ids(|from| Some(index.matching("a.b", from, 1))).unwrap_or_default();
    assert_eq!(all.len(), 1500);
    assert!(all.is_sorted());
    // One after the other, from each in its turn.
    let by_pattern = ["a.*", "*.b"]
        .map(|pattern| ids(|from| index.matching_first("a.b", pattern, from)).unwrap_or_default());
    assert_eq!(by_pattern.map(|it| it.len()), [500, 1000]);
}

#[test]
fn what_matches_beyond_all_measure_is_cut() {
    let mut index = Index::default();
    let pattern = |mut bits: u32| {
        let mut tokens = Vec::new();
        for _ in 0..14 {
            tokens.push(if bits & 1 == 0 { "a" } else { "*" });
            bits >>= 1;
        }
        tokens.join(".")
    };
    for bits in 0..1 << 14 {
        index.insert(&pattern(bits), subscriber(1, bits));
    }
    let slice = index.matching(&["a"; 14].join("."), 0, 1);
    assert!(slice.is_cut);
    assert_eq!(slice.subscribers.len(), 1);
    // None of eleven tokens is.
    let mut index = Index::default();
    for bits in 0..1 << 14 {
        let pattern = pattern(bits);
        let (short, _) = pattern.split_at(21);
        index.insert(short, subscriber(1, bits));
    }
    assert!(!index.matching(&["a"; 11].join("."), 0, 1).is_cut);
}

#[test]
fn of_many_topics_some_are_listed_and_all_are_counted() {
    let mut index = Index::default();
    for number in 0..20 {
        index.insert(&format!("t.{number}"), subscriber(1, number));
        index.insert(&format!("t.{number}.*"), subscriber(1, number));
        index.insert("t.>", subscriber(u64::from(number), number));
    }
    assert_eq!(index.list(7).len(), 7);
    assert_eq!(index.list(30).len(), 30);
    assert_eq!(index.list(100).len(), 41);
    let size = Size {
        topics: 41,
        subscriptions: 60,
    };
    assert_eq!(index.size(), size);
    assert!(!index.remove("t.1", 2));
    assert!(index.remove("t.1", 1) && index.remove("t.1.*", 1));
    for connection in 0..20 {
        index.remove("t.>", connection);
    }
    assert_eq!((index.size().topics, index.size().subscriptions), (38, 38));
}

/// Otherwise one connection after the other could leave large, empty tables behind.
#[test]
fn tables_shrink_with_what_is_in_them() {
    let mut index = Index::default();
    let names = |number: u32| [format!("t.{number}"), format!("t.{number}.*")];
    for name in (0..10_000).flat_map(names) {
        index.insert(&name, subscriber(1, 1));
    }
    for name in (1..10_000).flat_map(names) {
        index.remove(&name, 1);
    }
    let children = index.patterns.children.get("t").map(|node| &node.children);
    let rooms = [
        Some(index.exact.capacity()),
        children.map(HashMap::capacity),
    ];
    assert!(
        rooms.iter().all(|room| room.is_some_and(|it| it <= 16)),
        "{rooms:?}"
    );
}
