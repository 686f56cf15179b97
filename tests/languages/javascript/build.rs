//! `hotsocket build FILE.js`, `serve FILE.js`, and what they know of the port.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use super::component_of;
use crate::harness::{
    Client, Serve, build_cache, hotsocket, lacks_program, run, run_within, temp_dir,
};

const LONG: Duration = Duration::from_secs(120);

fn script(port: u16, word: &str) -> String {
    format!(
        "const word = require('./word.js');\n\
         require('net').createServer((socket) => socket.end(word))\n\
           .listen({port}, () => console.log('{word}'));\n"
    )
}

fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address").port()
}

#[test]
fn a_script_is_built_served_and_built_again_when_it_has_changed() {
    if component_of("builds", "require('net').createServer().listen(1)").is_none() {
        return;
    }
    let port = free_port();
    let start = |serve: Serve| {
        // Not where the harness has its servers listen, but where the script does.
        let server = serve
            .listen(&[])
            .args(&["--compile-timeout", "10m"])
            .arg("server.js")
            .start();
        assert_eq!(server.port(), port);
        server
    };
    let files = |serve: &Serve, word: &str| {
        fs::write(serve.path("server.js"), script(port, "started")).expect("written");
        fs::write(
            serve.path("word.js"),
            format!("module.exports = '{word}';\n"),
        )
        .expect("written");
    };
    let serve = Serve::nothing();
    files(&serve, "first");
    let dir = serve.path("");
    let server = start(serve);
    server.stderr.wait("building server.js …");
    Client::connect(server.addresses[0]).expect_rest("first");
    let kept = temp_dir();
    for file in ["server.js", "word.js"] {
        fs::copy(dir.join(file), kept.path().join(file)).expect("copied");
    }
    assert_eq!(server.stop().stdout, "started\n");

    // In a place of its own, so that it lasts.
    let built = |expected: bool| {
        let path = kept.path().join("server.js");
        let server = Serve::nothing()
            .listen(&[])
            .args(&["--compile-timeout", "10m"])
            .arg(path)
            .start();
        let text = server.stderr.text();
        assert_eq!(text.contains("building "), expected, "{text}");
        server
    };
    Client::connect(built(true).addresses[0]).expect_rest("first");
    Client::connect(built(false).addresses[0]).expect_rest("first");
    // A file that the script asks for counts as well.
    fs::write(kept.path().join("word.js"), "module.exports = 'second';\n").expect("written");
    Client::connect(built(true).addresses[0]).expect_rest("second");
}

/// Programs load modules that they may never use.
#[test]
fn a_module_that_is_missing_is_a_warning_until_it_is_used() {
    let text = "const zlib = require('zlib'); const { Agent } = require('node:https');\n\
                class Mine extends Agent {}\n\
                require('net').createServer((s) => s.on('data', (data) => {\n\
                  if (String(data) === 'use') zlib.promises.gzip('x');\n\
                  if (String(data) === 'new') new Mine();\n\
                  s.write('ok');\n\
                })).listen(3000);\n";
    if component_of("builds", "require('net').createServer().listen(1)").is_none() {
        return;
    }
    let dir = temp_dir();
    let script = dir.path().join("loads.js");
    fs::write(&script, text).expect("written");
    let ran = run_within(LONG, hotsocket().arg("build").arg(&script));
    assert_eq!(ran.code, 0, "{ran:?}");
    for module in ["zlib", "https"] {
        let told = format!(
            "warning: the module \"{module}\", which loads.js asks for, is not available in a hotsocket guest: using it throws"
        );
        assert!(ran.stderr.contains(&told), "{ran:?}");
    }
    let component = fs::read(dir.path().join("loads.wasm")).expect("built");
    let server = super::serve_script(component).start();
    server.connect().ask("hello", "ok");
    for (word, name) in [("use", "zlib.promises.gzip"), ("new", "https.Agent")] {
        let mut client = server.connect();
        client.send(word);
        client.expect_over();
        let line = server
            .stderr
            .wait(&format!("{name} is not available in a hotsocket guest"));
        assert!(line.contains("loads.js:"), "{line}");
    }
}

#[test]
fn the_port_is_in_the_component() {
    let Some(component) = component_of(
        "port",
        "require('net').createServer().listen({ port: '4567', host: '0.0.0.0' });\n",
    ) else {
        return;
    };
    let section = hotsocket::build::section(&component).expect("a section");
    assert_eq!(section.port, Some(4567));
    assert_eq!(section.language, "javascript");
    let dir = temp_dir();
    let path = dir.path().join("port.wasm");
    fs::write(&path, component).expect("written");
    let told = run(hotsocket().arg("inspect").arg(&path)).success();
    assert!(told.contains("\nport     4567 ("), "{told}");
    assert!(
        told.contains("language javascript, hotsocket SDK "),
        "{told}"
    );
}

#[test]
fn without_node_the_error_says_how_to_install_it() {
    let dir = temp_dir();
    let script = dir.path().join("x.js");
    fs::write(&script, "require('net').createServer().listen(1)").expect("written");
    let build = |path: &Path| {
        let mut command = hotsocket();
        command.arg("build").arg(&script).env("PATH", path);
        command.env("XDG_CACHE_HOME", dir.path().join("cache"));
        run_within(LONG, &mut command)
    };
    let ran = build(dir.path());
    assert_eq!(ran.code, 1, "{ran:?}");
    let last = ran.last_line();
    assert!(
        last.contains("x.js needs npm: install Node 18 or newer"),
        "{last}"
    );
}

#[test]
fn without_the_network_the_error_says_so() {
    if lacks_program("npm") {
        return;
    }
    let dir = temp_dir();
    let script = dir.path().join("x.js");
    fs::write(&script, "require('net').createServer().listen(1)").expect("written");
    let mut command = hotsocket();
    command.arg("build").arg(&script);
    command.env("XDG_CACHE_HOME", dir.path().join("cache"));
    // Nothing in npm's own cache, and nobody at the registry's address.
    command.env("npm_config_cache", dir.path().join("npm"));
    command.env("npm_config_registry", "http://127.0.0.1:9/");
    let ran = run_within(LONG, &mut command);
    assert_eq!(ran.code, 1, "{ran:?}");
    let last = ran.last_line();
    assert!(
        last.starts_with("error: cannot install what ")
            && last.contains("npm reports: code ECONNREFUSED")
            && last.ends_with("the first build needs the network, later ones do not"),
        "{last}"
    );
}

/// Versions of hotsocket share the packages, and nothing that one of them brings.
#[test]
fn the_shim_is_not_in_the_directory_that_versions_share() {
    if component_of("builds", "require('net').createServer().listen(1)").is_none() {
        return;
    }
    let dir = temp_dir();
    let script = dir.path().join("x.js");
    fs::write(&script, "require('net').createServer().listen(1)").expect("written");
    let here = dir.path().join("hotsocket/build");
    fs::create_dir_all(&here).expect("a directory");
    // The packages, as each version of hotsocket that uses these ones has installed them.
    for installed in fs::read_dir(build_cache()).expect("a directory").flatten() {
        let name = installed.file_name();
        let path = installed.path();
        if !name.to_string_lossy().starts_with("javascript-") || !path.join("installed").exists() {
            continue;
        }
        let copy = here.join(name);
        fs::create_dir(&copy).expect("a directory");
        symlink(path.join("node_modules"), copy.join("node_modules")).expect("a link");
        for file in ["package.json", "package-lock.json", "installed"] {
            fs::copy(path.join(file), copy.join(file)).expect("copied");
        }
    }
    let mut command = hotsocket();
    command.arg("build").arg(&script);
    command.env("XDG_CACHE_HOME", dir.path());
    let ran = run_within(LONG, &mut command);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stderr.contains("installing"), "{ran:?}");
    for installed in fs::read_dir(&here).expect("a directory").flatten() {
        for file in ["build.mjs", "shim", "wit"] {
            let path = installed.path().join(file);
            assert!(!path.exists(), "{}", path.display());
        }
    }
    let left = fs::read_dir(here.join("stages"))
        .expect("a directory")
        .count();
    assert_eq!(left, 0, "directories of builds are left");
}
