//! What writes of different sizes cost: one for each event, and many.
//!
//! The guest is made from the template of the tests: it echoes what it is given in
//! pieces of a size. The native server always writes once.

use super::driver::Load;
use super::traffic::{Measure, cpu_per_request, interleaved, lines};
use super::{Plan, Row};
use crate::Result;
use crate::guests::guest;
use crate::machine::TempDir;
use crate::table::{Line, Unit};

const CONNECTIONS: usize = 16;
const MEASURED: &[Measure] = &[("CPU per request", Unit::Micros, cpu_per_request)];
/// Of a request that is echoed with one write, in bytes.
const REQUESTS: [usize; 9] = [100, 900, 1100, 2048, 8192, 16_384, 31_000, 33_000, 65_536];
/// Of the pieces of a request of 64 KiB, in bytes.
const PIECES: [usize; 8] = [100, 900, 1100, 4096, 16_384, 31_000, 33_000, 65_536];
const MANY: usize = 65_536;

pub fn rows() -> Vec<Row> {
    let one = REQUESTS.map(|size| {
        let work = format!("echo {size} B in one write, {CONNECTIONS} connections");
        row(format!("writes-one-{size}"), work, size, MANY)
    });
    let many = PIECES.map(|piece| {
        let work = format!("echo 64 KiB in writes of {piece} B, {CONNECTIONS} connections");
        row(format!("writes-many-{piece}"), work, MANY, piece)
    });
    one.into_iter().chain(many).collect()
}

fn row(name: String, work: String, size: usize, piece: usize) -> Row {
    Row {
        name,
        quick: false,
        measure: Box::new(move |plan| measure(plan, &work, size, piece)),
    }
}

fn measure(plan: &Plan, work: &str, size: usize, piece: usize) -> Result<Vec<Line>> {
    let dir = TempDir::new()?;
    let path = dir.path("pieces.wasm");
    std::fs::write(&path, pieces(piece))?;
    let subjects = plan.subjects.iter();
    let plan = Plan {
        subjects: subjects
            .map(|subject| subject.serving(path.clone()))
            .collect(),
        ..plan.clone()
    };
    let samples = interleaved(&plan, &Load::echo(size, CONNECTIONS), &[])?;
    Ok(lines(work, &samples, MEASURED))
}

/// Echoes in writes of so many bytes.
fn pieces(size: usize) -> Vec<u8> {
    let body = format!(
        "(local $n i32)
         (loop $more
           (local.set $n (select (i32.const {size}) (local.get $count)
             (i32.lt_u (i32.const {size}) (local.get $count))))
           (call $say (local.get $at) (local.get $n))
           (local.set $at (i32.add (local.get $at) (local.get $n)))
           (local.set $count (i32.sub (local.get $count) (local.get $n)))
           (br_if $more (local.get $count)))"
    );
    guest().data(&body).build()
}
