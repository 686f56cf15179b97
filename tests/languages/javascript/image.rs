//! The top level of a script, which runs when the component's image is made that
//! instances start from, or in each of them.

use std::fs;
use std::time::Duration;

use super::{component_of, serve_script, serve_text};
use crate::harness::{hotsocket, run_within, temp_dir};

const STARTS: &str = r#"
const net = require('net');
const order = [];
let beats = 0;
console.log('top');
process.stdout.write('begun ');
process.stderr.write('aside\n');
setInterval(() => { beats += 1; }, 20);
setTimeout(() => order.push('timeout'), 1);
setImmediate(() => order.push('immediate'));
process.nextTick(() => order.push('tick'));
Promise.resolve().then(() => order.push('microtask'));
let visits = 0;
const server = net.createServer((socket) => {
  visits += 1;
  socket.on('data', (data) => {
    if (String(data) === 'random') return socket.write(`${Math.random().toFixed(12)} ${require('crypto').randomUUID()}`);
    // As soon as it has rung three times.
    const timer = setInterval(() => {
      if (beats < 3) return;
      clearInterval(timer);
      const clock = Math.abs(Date.now() - new Date()) < 1000 && Date.now() > 1.7e12 && new Date().getFullYear() >= 2024;
      socket.write(`${order} ${visits} ${clock}\n`);
    }, 5);
  });
});
server.listen(3000, () => console.log('listening'));
"#;

#[test]
fn what_the_top_level_has_started_goes_on_in_each_instance_and_is_printed_once() {
    let Some(server) = serve_text("starts", STARTS) else {
        return;
    };
    let server = server.start();
    let mut random = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect();
        client.ask("order", "tick,microtask,immediate,timeout 1 true\n");
        client.send("random");
        random.push(client.read(51));
    }
    random.sort();
    random.dedup();
    assert_eq!(random.len(), 3, "{random:?}");
    let stopped = server.stop();
    assert_eq!(stopped.stdout, "top\nbegun listening\n");
    assert_eq!(stopped.stderr.matches("aside").count(), 1);
}

const ENVIRONMENT: &str = r#"
const { env } = process;
const name = process.env.NAME ?? 'nobody';
env.OWN = 'own';
globalThis.loaded = (globalThis.loaded ?? 0) + 1;
process.on('exit', () => {});
setInterval(() => {}, 1000);
console.log(`for ${name}`);
require('net').createServer((socket) => {
  socket.end([name, env.NAME, env.OTHER, process.env.OWN, 'NAME' in env, loaded, process.listenerCount('exit')].join());
}).listen(3000);
"#;

#[test]
fn a_script_that_reads_the_environment_as_it_loads_sees_that_of_the_server() {
    let Some(component) = component_of("environment", ENVIRONMENT) else {
        return;
    };
    for (args, said, answer) in [
        (&[][..], "for nobody\n", "nobody,,,own,false,1,1"),
        (
            &["--env", "OTHER=x"],
            "for nobody\n",
            "nobody,,x,own,false,1,1",
        ),
        (&["--env", "NAME=Ann"], "for Ann\n", "Ann,Ann,,own,true,1,1"),
    ] {
        let server = serve_script(component.clone()).args(args).start();
        server.connect().expect_rest(answer);
        server.connect().expect_rest(answer);
        assert_eq!(server.stop().stdout, said);
    }
}

/// What keeps a top level out of the image, and what `hotsocket build` says about it.
#[test]
fn a_top_level_that_reads_the_clock_or_chance_runs_in_each_instance() {
    let listen = "require('net').createServer().listen(1);\n";
    let dir = temp_dir();
    for (text, reason) in [
        ("", None),
        (
            "let a = new Date(5), b = Math.max(1, 2), c = Buffer.from('á'.repeat(1e5)).toString();\n",
            None,
        ),
        (
            "const { now } = Date;\nconst at = now();\n",
            Some("it reads the clock with Date.now() (s.js:2)"),
        ),
        (
            "\nglobalThis.at = new Date();\n",
            Some("it reads the clock with new Date() (s.js:2)"),
        ),
        ("Date();\n", Some("it reads the clock with Date() (s.js:1)")),
        (
            "function f() {\n  return performance.now();\n}\nf();\n",
            Some("it reads the clock (s.js:2)"),
        ),
        ("process.hrtime();\n", Some("it reads the clock (s.js:1)")),
        (
            "Promise.resolve().then(() => {\n  Math.random();\n});\n",
            Some("it reads Math.random() (s.js:2)"),
        ),
        (
            "require('crypto').randomBytes(1);\n",
            Some("it reads random bytes (s.js:1)"),
        ),
        (
            "try {\n  process.hrtime.bigint();\n} catch {}\n",
            Some("it reads the clock (s.js:2)"),
        ),
        // What Node doesn't know of, when `build` tries the script there.
        (
            "if (typeof __cqjs !== 'undefined') null.x;\n",
            Some("it fails in the build with TypeError: cannot read property 'x' of null"),
        ),
        (
            "for (let i = 0; i < 100; i++) console.log('x'.repeat(1000));\n",
            Some("it prints more than 64 KiB"),
        ),
    ] {
        let script = dir.path().join("s.js");
        fs::write(&script, format!("{text}{listen}")).expect("written");
        if component_of("builds", "require('net').createServer().listen(1)").is_none() {
            return;
        }
        let output = dir.path().join("s.wasm");
        let mut build = hotsocket();
        build.arg("build").arg(&script).arg("-o").arg(output);
        let ran = run_within(Duration::from_secs(120), &mut build);
        assert_eq!(ran.code, 0, "{ran:?}");
        let note = reason.map(|reason| {
            format!("note: s.js: its top level runs once for each connection, and not once for all, since {reason}\n")
        });
        let notes: String = ran
            .stderr
            .lines()
            .filter(|line| line.starts_with("note: "))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(notes, note.unwrap_or_default(), "{text}");
    }
}

#[test]
fn a_value_that_is_read_from_the_clock_or_by_chance_is_each_instances_own() {
    let script = r"
        const chance = Math.random();
        console.log('once');
        require('net').createServer((s) => s.end(String(chance))).listen(3000);
    ";
    let Some(server) = serve_text("chance", script) else {
        return;
    };
    let server = server.start();
    let first = server.connect().rest().expect("FIN");
    let second = server.connect().rest().expect("FIN");
    assert_ne!(first, second);
    assert_eq!(server.stop().stdout, "once\n");
}
