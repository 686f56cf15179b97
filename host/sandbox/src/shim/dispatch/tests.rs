use std::fmt::Write;

use wasmtime::{Config, Engine, Instance, Store, Trap, Val};

use super::*;

/// Parameters and results: the third is as the first, with a number of its own.
const TYPES: [&str; 4] = [
    "(param i64) (result i64)",
    "(param i64 i32) (result i64)",
    "(param i64) (result i64)",
    "(param i64 f32) (result i64)",
];
const ARGUMENTS: [&str; 4] = [
    "local.get 1",
    "local.get 1 i32.const 5",
    "local.get 1",
    "local.get 1 f32.const 5",
];

/// A module with a function for each entry of a table, whose entries have
/// these types or are empty, and exports that call each type by number.
fn module(entries: &[Option<usize>], rest: &str) -> Vec<u8> {
    let mut text = String::from("(module\n");
    for (at, of) in TYPES.iter().enumerate() {
        let _ = writeln!(text, "(type $t{at} (func {of}))");
    }
    let _ = writeln!(text, "(table $t {} funcref)", entries.len());
    for (at, of) in entries.iter().enumerate() {
        let Some(of) = of else { continue };
        let _ = writeln!(
            text,
            "(func $f{at} (type $t{of}) (i64.add (local.get 0) (i64.const {at}000)))
            (elem (i32.const {at}) func $f{at})"
        );
    }
    for (of, arguments) in ARGUMENTS.iter().enumerate() {
        let _ = writeln!(
            text,
            r#"(func (export "{of}") (param i32 i64) (result i64)
            {arguments} local.get 0 call_indirect (type $t{of}))"#
        );
    }
    // What comes out may be twice as long as what went in.
    let _ = writeln!(text, r#"{rest} (@custom "room" "{}"))"#, "x".repeat(40_000));
    wat::parse_str(text).expect("WAT")
}

/// What each export gives for each number.
fn answers(module: &[u8], numbers: std::ops::Range<i32>) -> Vec<Result<i64, Trap>> {
    let engine = Engine::new(Config::new().gc_support(false)).expect("an engine");
    let module = wasmtime::Module::new(&engine, module).expect("a module");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let mut answers = Vec::new();
    for of in 0..TYPES.len() {
        let function = instance.get_func(&mut store, &of.to_string());
        let function = function.expect("an export");
        for number in numbers.clone() {
            let mut result = [Val::I64(0)];
            let called = function.call(&mut store, &[Val::I32(number), Val::I64(7)], &mut result);
            answers.push(match called {
                Ok(()) => Ok(result[0].unwrap_i64()),
                Err(error) => Err(*error.downcast_ref::<Trap>().expect("a trap")),
            });
        }
    }
    answers
}

#[test]
fn every_number_answers_as_before() {
    let mut dice = 0x9e37_79b9_u64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) % sides
    };
    let (mut reached, mut trapped) = (0, 0);
    for round in 0..40 {
        let types = [1, 2, 4, 4][round % 4];
        let entries: Vec<Option<usize>> = (0..1 + roll(30))
            .map(|_| (roll(4) > 0).then(|| usize::try_from(roll(types)).unwrap()))
            .collect();
        let before = module(&entries, "");
        let after = without_table(&before);
        if entries.iter().all(Option::is_none) {
            assert_eq!(after, None);
            continue;
        }
        let after = after.expect("jumps");
        let numbers = -2..i32::try_from(entries.len()).unwrap() + 2;
        let expected = answers(&before, numbers.clone());
        assert_eq!(answers(&after, numbers), expected, "{entries:?}");
        trapped += expected.iter().filter(|answer| answer.is_err()).count();
        reached += expected.iter().filter(|answer| answer.is_ok()).count();
    }
    assert!(reached > 100 && trapped > 100, "{reached} {trapped}");
}

#[test]
fn tables_that_may_change_or_be_seen_stay() {
    let entries = [Some(0), Some(1)];
    assert!(without_table(&module(&entries, "")).is_some());
    for rest in [
        r#"(export "t" (table $t))"#,
        "(table 1 funcref)",
        "(func (table.set $t (i32.const 0) (ref.null func)))",
        "(func (result funcref) (table.get $t (i32.const 0)))",
        "(func (result funcref) ref.func $f0)",
        "(func (result i32) (table.grow $t (ref.null func) (i32.const 1)))",
        "(elem func $f0)",
        "(type (func (param funcref)))",
    ] {
        assert_eq!(without_table(&module(&entries, rest)), None, "{rest}");
    }
    let long = [Some(0); LONGEST + 1];
    assert_eq!(without_table(&module(&long, "")), None);
    assert!(without_table(&module(&long[1..], "")).is_some());
    // One that is imported has entries of others.
    let imported = r#"(module (type (func)) (import "" "t" (table 1 funcref))
        (func (export "f") (call_indirect (type 0) (i32.const 0))))"#;
    assert_eq!(without_table(&wat::parse_str(imported).expect("WAT")), None);
}

#[test]
fn what_would_grow_much_stays() {
    let long = "i32 ".repeat(900);
    let bodies = "(func (type 0) unreachable) ".repeat(250);
    let all = (0..250).map(|at| format!("{at} ")).collect::<String>();
    let wide = format!(
        "(module (type (func (param {long}))) (table 250 funcref) {bodies}
        (elem (i32.const 0) func {all})
        (func {} i32.const 0 call_indirect (type 0)))",
        "i32.const 0 ".repeat(900)
    );
    assert_eq!(without_table(&wat::parse_str(wide).expect("WAT")), None);

    // The same type again and again is one.
    let again = format!(
        "(module {} (table 250 funcref) {bodies} (elem (i32.const 0) func {all}) {})",
        "(type (func)) ".repeat(1000),
        (0..1000).fold(String::new(), |text, at| text
            + &format!("(func i32.const 0 call_indirect (type {at}))"))
    );
    let before = wat::parse_str(again).expect("WAT");
    let after = without_table(&before).expect("jumps");
    assert!(
        after.len() < before.len() * 2,
        "{} {}",
        before.len(),
        after.len()
    );
}
