//! Components of a few kilobytes that take the compiler for ever, or all memory.

use super::{component, guest};

/// A function with so many variables that all live on over so many branches: what
/// the compiler needs grows with the product.
pub fn bomb(variables: usize, branches: usize) -> Vec<u8> {
    let locals = "i64 ".repeat(variables);
    let each = |text: &dyn Fn(usize) -> String| (1..=variables).map(text).collect::<String>();
    let set = each(&|at| format!("(local.set {at} (i64.load (i32.const {})) )", at % 1000 * 8));
    let branch = "(br_if $out (i32.load (local.get 0)))".repeat(branches);
    let sum = each(&|at| format!("local.get {at} i64.add "));
    let function = format!(
        "(func (param i32) (result i64) (local {locals}) {set} (block $out {branch}) i64.const 0 {sum})"
    );
    let around = "(func $trap unreachable)";
    guest()
        .change(around, &format!("{around} {function}"))
        .build()
}

/// A guest that takes seconds to compile, and not much memory.
pub fn slow_to_compile() -> Vec<u8> {
    bomb(500, 20_000)
}

/// Each component instantiates the one before it twice.
pub fn doubling(times: usize) -> Vec<u8> {
    let levels: String = (1..=times)
        .map(|level| {
            format!(
                "(component (alias outer 1 {} (component $c))
                   (instance (instantiate $c)) (instance (instantiate $c)))",
                level - 1
            )
        })
        .collect();
    component(&format!(
        "(component (component (core module $m) (core instance (instantiate $m)))
           {levels} (instance (instantiate {times})))"
    ))
}
