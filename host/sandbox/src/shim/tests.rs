use wasmparser::{Validator, WasmFeatures};

use super::*;

fn features() -> WasmFeatures {
    WasmFeatures::default() | WasmFeatures::FUNCTION_REFERENCES
}

fn prebuilt(name: &str) -> Vec<u8> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest/prebuilt/");
    std::fs::read(format!("{dir}{name}.wasm")).expect("a guest")
}

#[test]
fn guests_of_the_sdk_need_no_table() {
    for name in ["counter", "echo", "hello", "lines", "shout"] {
        let before = prebuilt(name);
        let after = without_table(&before).expect("a shim");
        Validator::new_with_features(features())
            .validate_all(&after)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(without_table(&after), None, "there is no other");
        // Their own tables keep what shows that a call is of the wrong type.
        assert!(in_tables(&before) > 20 && in_tables(&after) <= 2, "{name}");
    }
}

/// How many functions modules put into tables.
fn in_tables(component: &[u8]) -> u32 {
    let mut count = 0;
    for payload in Parser::new(0).parse_all(component) {
        if let Ok(Payload::ElementSection(section)) = payload {
            for segment in section {
                let segment = segment.expect("a segment");
                if let (ElementKind::Active { .. }, ElementItems::Functions(of)) =
                    (segment.kind, segment.items)
                {
                    count += of.count();
                }
            }
        }
    }
    count
}

/// Names of the functions that modules export.
fn exported(component: &[u8]) -> Vec<&str> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        if let Ok(Payload::ExportSection(section)) = payload {
            let functions = section.into_iter().map(Result::unwrap);
            let functions = functions.filter(|export| export.kind == ExternalKind::Func);
            names.extend(functions.map(|export| export.name));
        }
    }
    names
}

#[test]
fn exports_that_nobody_uses_are_gone() {
    let before = prebuilt("echo");
    let after = without_table(&before).expect("a shim");
    let (before, after) = (exported(&before), exported(&after));
    let gone: Vec<&str> = before
        .into_iter()
        .filter(|name| !after.contains(name))
        .collect();
    assert_eq!(gone, ["getcwd", "getenv", "write"]);
    assert!(after.contains(&"cabi_realloc"));

    // What a module is given whole, it uses by its own names.
    let component = format!(
        r#"(component {SHIM}
        (core instance (export "$imports" (table $t)))
        (core module $has (func (export "f")) (func (export "g")))
        (core module $wants (import "x" "f" (func)))
        (core module $other (import "y" "g" (func)))
        (core instance $has (instantiate $has))
        (core instance (instantiate $wants (with "x" (instance $has))))
        )"#
    );
    let before = wat::parse_str(component).expect("WAT");
    let after = without_table(&before).expect("a shim");
    assert_eq!(exported(&before), ["f", "g"]);
    assert_eq!(exported(&after), ["f"]);
}

/// A shim and a fixup.
const SHIM: &str = r#"
    (core module $shim (type (func)) (table (export "$imports") 1 1 funcref)
        (func (type 0) i32.const 0 call_indirect (type 0)))
    (core module $fixup (import "" "0" (func)) (import "" "$imports" (table 1 1 funcref))
        (elem (i32.const 0) func 0))
    (core instance $i (instantiate $shim))
    (alias core export $i "$imports" (core table $t))"#;

#[test]
fn what_is_no_such_component_stays_as_it_is() {
    let cases = [
        "(component)",
        // Only half of it.
        r#"(component
            (core module $shim (type (func)) (table (export "$imports") 1 1 funcref)
                (func (export "0") (type 0) i32.const 0 call_indirect (type 0)))
            (core instance $i (instantiate $shim))
            (alias core export $i "$imports" (core table)))"#,
        // Jumps to another place than its own.
        r#"(component
            (core module $shim (type (func)) (table (export "$imports") 1 1 funcref)
                (func (export "0") (type 0) i32.const 1 call_indirect (type 0)))
            (core module $fixup (import "" "0" (func)) (import "" "$imports" (table 1 1 funcref))
                (elem (i32.const 0) func 0))
            (core instance $i (instantiate $shim))
            (alias core export $i "$imports" (core table)))"#,
    ];
    for case in cases {
        let bytes = wat::parse_str(case).expect("WAT");
        assert_eq!(without_table(&bytes), None, "{case}");
    }
    let joints = |table: &str, offset: &str| {
        let shim = SHIM
            .replace("1 1 funcref)\n", table)
            .replace("(i32.const 0) func", offset);
        let hands = r#"(core instance (export "$imports" (table $t)))"#;
        wat::parse_str(format!("(component {shim} {hands})")).expect("WAT")
    };
    assert!(without_table(&joints("1 1 funcref)\n", "(i32.const 0) func")).is_some());
    // Not every function has a place, or not its own.
    assert_eq!(
        without_table(&joints("0 1 funcref)\n", "(i32.const 0) func")),
        None
    );
    let later = "(offset i32.const 0 i32.const 1 i32.add) func";
    assert_eq!(without_table(&joints("1 1 funcref)\n", later)), None);
    let whole = prebuilt("echo");
    for end in [0, 8, 100, whole.len() / 2, whole.len() - 1] {
        assert_eq!(without_table(&whole[..end]), None, "{end}");
    }
}

/// Neither deep nesting nor one table in many hands makes this take long.
#[test]
fn hostile_components_cost_no_more_than_their_size() {
    let hands = r#"(core instance (export "$imports" (table $t)))"#;
    let one = wat::parse_str(format!("(component {SHIM} {hands})")).expect("WAT");
    let two = wat::parse_str(format!("(component {SHIM} {hands} {hands})")).expect("WAT");
    assert!(without_table(&one).is_some());
    assert_eq!(without_table(&two), None);

    let mut deep = Component::new().finish();
    for _ in 0..6_000 {
        let mut outer = Component::new();
        outer.section(&RawSection {
            id: wasm_encoder::ComponentSectionId::Component.into(),
            data: &deep,
        });
        deep = outer.finish();
    }
    let mut around = one.clone();
    around.push(wasm_encoder::ComponentSectionId::Component.into());
    let mut length = deep.len();
    while length >= 128 {
        around.push((length % 128) as u8 | 128);
        length /= 128;
    }
    around.push(length as u8);
    around.extend(deep);
    assert!(without_table(&around).is_some());
}
