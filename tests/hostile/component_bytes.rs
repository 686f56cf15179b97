//! Damaged component files, given to the loader in this process: it may refuse them,
//! and nothing else.
//!
//! Random bytes would never get past the header, so what is tried are valid
//! components with a few bytes changed, in places that keep many of them
//! valid. How many reach the compiler is printed, and must be a good share.

use std::sync::{Arc, OnceLock};

use hotsocket::limits::Limits;
use hotsocket::output::{GuestLines, Output};
use hotsocket_sandbox::{
    CodeCacheDir, Compiler, ComponentBytes, EnginePool, Environment, Grants, LoadError, Sandbox,
    component,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::guests::{self, guest};
use crate::harness::prebuilt;

/// A sandbox in this process that never serves.
fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let limits = Limits {
            max_connections: 1,
            ..Limits::default()
        };
        let output = Output::to(
            std::io::sink(),
            std::io::sink(),
            (false, false),
            GuestLines::Plain,
        );
        let engines = EnginePool::new(
            limits.pool(),
            &CodeCacheDir::None,
            Compiler::Inside,
            hotsocket_wasi::link,
        );
        Sandbox::new(
            Arc::new(engines.expect("an engine")),
            limits.sandbox(),
            Grants::default(),
            Environment::default(),
            output.expect("threads"),
        )
    })
}

fn load(bytes: &[u8]) -> Result<(), LoadError> {
    sandbox()
        .compile(&ComponentBytes::new(bytes.to_vec()))
        .map(|_| ())
}

/// Whether the compiler has seen it.
fn was_compiled(outcome: &Result<(), LoadError>) -> bool {
    matches!(
        outcome,
        Ok(())
            | Err(LoadError::Compile(_)
                | LoadError::WrongImport(_)
                | LoadError::WrongType { .. }
                | LoadError::Trial(_))
    )
}

/// One change of a component.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Set(prop::sample::Index, u8),
    Copy(prop::sample::Index, prop::sample::Index, u8),
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => (index(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        8 => (index(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        3 => (index(), index(), 1_u8..16).prop_map(|(from, to, count)| Change::Copy(from, to, count)),
        1 => index().prop_map(Change::Cut),
    ]
}

impl Change {
    /// Past the header, which is eight bytes long. Single bytes are mostly
    /// changed where the component stays valid.
    fn apply(&self, bytes: &mut Vec<u8>, soft: &[Soft]) {
        let hard = |index: &prop::sample::Index, bytes: &[u8]| 8 + index.index(bytes.len() - 8);
        match self {
            Change::Flip(at, value) | Change::Set(at, value) if at.index(6) > 0 => {
                let byte = match soft[at.index(soft.len())] {
                    Soft::Number(at) => bytes.get_mut(at).map(|byte| (byte, 0x7f, 0)),
                    Soft::Operator(at) => bytes.get_mut(at).map(|byte| (byte, 0xff, 0x6a)),
                };
                match byte {
                    // The upper bit says whether the number goes on.
                    Some((byte, 0x7f, _)) => *byte ^= value & 0x7f,
                    Some((byte, _, first)) => *byte = first + value % 3,
                    None => {}
                }
            }
            Change::Flip(at, bit) => {
                let at = hard(at, bytes);
                bytes[at] ^= 1 << bit;
            }
            Change::Set(at, value) => {
                let at = hard(at, bytes);
                bytes[at] = *value;
            }
            Change::Copy(from, to, count) => {
                let (from, to) = (hard(from, bytes), hard(to, bytes));
                let count = usize::from(*count).min(bytes.len() - from.max(to));
                bytes.copy_within(from..from + count, to);
            }
            Change::Cut(at) => {
                let at = hard(at, bytes) + 1;
                bytes.truncate(at.max(9));
            }
        }
    }
}

/// A byte that may be another one in a valid component.
#[derive(Clone, Copy)]
enum Soft {
    /// The first byte of a constant.
    Number(usize),
    /// Add, subtract, multiply.
    Operator(usize),
}

fn soft_places(bytes: &[u8]) -> Vec<Soft> {
    use wasmparser::Operator;
    let mut places = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        let payload = payload.expect("a valid component");
        let wasmparser::Payload::CodeSectionEntry(body) = payload else {
            continue;
        };
        let operators = body.get_operators_reader().expect("a valid component");
        for operator in operators.into_iter_with_offsets() {
            match operator.expect("a valid component") {
                (Operator::I32Const { .. } | Operator::I64Const { .. }, at) => {
                    places.push(Soft::Number(at + 1));
                }
                (Operator::I32Add | Operator::I32Sub | Operator::I32Mul, at) => {
                    places.push(Soft::Operator(at));
                }
                _ => {}
            }
        }
    }
    places
}

#[test]
fn changed_components_are_refused_or_served() {
    let seeds = [guest().build(), prebuilt("hello"), prebuilt("counter")]
        .map(|bytes| (soft_places(&bytes), bytes));
    let (mut tried, mut compiled, mut served) = (0, 0, 0);
    let mut runner = TestRunner::new(Config {
        cases: 120,
        failure_persistence: None,
        max_shrink_iters: 50,
        ..Config::default()
    });
    let strategy = (0..seeds.len(), prop::collection::vec(change(), 1..3));
    let counts = std::cell::RefCell::new((&mut tried, &mut compiled, &mut served));
    let outcome = runner.run(&strategy, |(seed, changes)| {
        let (soft, mut bytes) = seeds[seed].clone();
        for change in &changes {
            change.apply(&mut bytes, &soft);
        }
        let outcome = load(&bytes);
        if let Err(error) = &outcome {
            let told = error.to_string();
            prop_assert!(
                !told.contains('\n') && told.len() < 5000,
                "one line: {told}"
            );
        }
        let mut counts = counts.borrow_mut();
        *counts.0 += 1;
        *counts.1 += usize::from(was_compiled(&outcome));
        *counts.2 += usize::from(outcome.is_ok());
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    println!("{tried} changed components: {compiled} reached the compiler, {served} can be served");
    assert!(
        compiled * 4 > tried,
        "{compiled} of {tried} reached the compiler"
    );
}

#[test]
fn any_bytes_are_described_or_refused() {
    let mut runner = TestRunner::new(Config {
        cases: 2000,
        failure_persistence: None,
        ..Config::default()
    });
    let header = prop::sample::select(vec![
        &b""[..],
        b"\0asm",
        b"\0asm\x0d\0\x01\0",
        b"\0asm\x01\0\0\0",
        b"\0asm\x0d\0\x01\0\x01",
    ]);
    let strategy = (header, prop::collection::vec(any::<u8>(), 0..400));
    let outcome = runner.run(&strategy, |(header, rest)| {
        let outcome = component::describe(&[header, &rest].concat());
        if let Err(error) = outcome {
            prop_assert!(!error.to_string().contains('\n'));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn each_prefix_of_a_component_is_refused() {
    let whole = guest().build();
    for end in 0..whole.len() {
        let outcome = component::describe(&whole[..end]);
        // A component may end after any of its sections; it is then no guest,
        // unless what is missing is a custom section.
        let is_guest = outcome.is_ok_and(|description| description.check_world().is_ok());
        assert!(!is_guest || whole[end] == 0, "the first {end} bytes");
    }
}

/// A function body of text, in a component that is otherwise well.
fn with_body(body: &str) -> Vec<u8> {
    guest()
        .change(
            "(func $trap unreachable)",
            &format!("(func $trap unreachable) (func $odd {body})"),
        )
        .build()
}

#[test]
fn deep_and_wide_things_are_refused_or_served() {
    let blocks = |deep: usize| format!("{} {}", "block ".repeat(deep), "end ".repeat(deep));
    let lists = |deep: usize| {
        let types: String = (1..deep)
            .map(|at| format!("(type $l{at} (list $l{}))", at - 1))
            .collect();
        format!("(component (type $l0 (list u8)) {types})")
    };
    let components = |deep: usize| "(component ".repeat(deep) + &")".repeat(deep);
    let instances = |deep: usize| {
        let inner = "(type (instance ".repeat(deep) + &"))".repeat(deep);
        format!("(component {inner})")
    };
    let values = "i32.const 1 ".repeat(20_000);
    let drops = "drop ".repeat(20_000);
    let targets = "0 ".repeat(50_000);
    let locals = "i64 ".repeat(49_000);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("blocks", with_body(&blocks(2_000))),
        ("values", with_body(&format!("{values} {drops}"))),
        (
            "targets",
            with_body(&format!("(block i32.const 0 br_table {targets})")),
        ),
        ("locals", with_body(&format!("(local {locals})"))),
        ("lists", guests::component(&lists(900))),
        ("components", guests::component(&components(50))),
        ("instances", guests::component(&instances(30))),
    ];
    for (name, bytes) in cases {
        // On as large a stack as a swap compiles on.
        let compiling = std::thread::Builder::new()
            .stack_size(16 << 20)
            .spawn(move || load(&bytes));
        let outcome = compiling.expect("a thread").join().expect("no panic");
        println!("{name}: {outcome:?}");
    }
}

/// Exceptions and structures live in a heap that is collected; guests have none.
/// Compiling an exception handler without one would panic.
#[test]
fn what_needs_a_garbage_collector_is_refused() {
    for odd in [
        "(tag $t) (func (block $caught (try_table (catch_all $caught) (throw $t))))",
        "(type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1))))",
    ] {
        let around = "(func $trap unreachable)";
        let bytes = guest().change(around, &format!("{around} {odd}")).build();
        let outcome = load(&bytes);
        assert!(matches!(outcome, Err(LoadError::Compile(_))), "{outcome:?}");
    }
}

/// Deeper than any text can be parsed: components within components, in bytes.
#[test]
fn a_thousand_components_in_one_another_are_refused() {
    let header = b"\0asm\x0d\0\x01\0";
    let mut bytes = header.to_vec();
    for _ in 0..1000 {
        let mut outer = header.to_vec();
        outer.push(4);
        let mut length = bytes.len();
        while length >= 0x80 {
            outer.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend(bytes);
        bytes = outer;
    }
    assert!(load(&bytes).is_err());
}
