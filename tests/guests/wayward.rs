//! A guest that goes astray in the ways that need an operating system, or a
//! language: it exits, waits, panics, prints what is no text, or reaches for
//! files when a client tells it to.

use std::io::Write;
use std::time::{Duration, Instant};

use hotsocket_guest::{Connection, Handler, export};

#[derive(Default)]
pub struct Wayward;

impl Handler for Wayward {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let (order, number) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        match order {
            "exit" => {
                conn.write("never sent, as the event has no end");
                std::process::exit(number.parse().unwrap_or(0));
            }
            "sleep" => {
                std::thread::sleep(Duration::from_millis(number.parse().unwrap_or(0)));
                conn.write("slept");
            }
            "doze" => {
                for _ in 0..number.parse().unwrap_or(0) {
                    std::thread::sleep(Duration::from_nanos(1));
                    let began = Instant::now();
                    while began.elapsed() < Duration::from_micros(50) {}
                }
                conn.write("dozed");
            }
            "panic" => stumble(number),
            "environment" => {
                let names: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
                let files = std::fs::read_dir("/").is_ok();
                conn.write(format!("{names:?} {files}"));
            }
            "raw" => {
                let mut stdout = std::io::stdout();
                let written = stdout.write_all(b"\xff\xfe\x1b[31mred\n");
                conn.write(format!("{}", written.and_then(|()| stdout.flush()).is_ok()));
            }
            "files" => {
                let tried = [
                    std::fs::read("/etc/passwd").is_ok(),
                    std::fs::write("/tmp/wayward", "was here").is_ok(),
                    std::fs::create_dir("wayward").is_ok(),
                    std::fs::metadata("..").is_ok(),
                ];
                conn.write(format!("{tried:?}"));
            }
            _ => {
                conn.write(bytes);
            }
        }
    }
}

#[inline(never)]
fn stumble(over: &str) {
    panic!("stumbled over {over}\nand fell");
}

export!(Wayward);
