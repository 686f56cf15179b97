//! Several services in one process, and which one a command means.

use rustix::process::Signal;

use super::with_file;
use crate::harness::{Client, Serve, ask, hotsocket, prebuilt, run};

const TWO: &str = r#"
[[service]]
name = "count"
guest = "counter.wasm"
listen = "127.0.0.1:0"
max-connections = 5
[[service]]
guest = "echo.wasm"
[[service.listener]]
name = "public"
listen = "127.0.0.1:0"
"#;

#[test]
fn each_has_its_guest_its_limits_and_its_store() {
    let server = with_file(TWO, &["counter", "echo"]).start();
    let status = server.status();
    let services = status["services"].as_array().expect("a list");
    let names: Vec<_> = services.iter().map(|it| it["name"].as_str()).collect();
    assert_eq!(names, [Some("count"), Some("echo")]);
    assert_eq!(services[0]["connections"]["limit"], 5);
    assert_eq!(services[1]["connections"]["limit"], 10_000);
    // What was there before there were several is about the first.
    assert_eq!(status["listeners"], services[0]["listeners"]);
    let address = |at: usize| {
        let address = services[at]["listeners"][0].as_str().expect("an address");
        Client::connect(address.parse().expect("an address"))
    };
    address(0).ask("abc", "3 bytes so far\n");
    address(1).ask("abc", "abc");
    assert_eq!(
        services[1]["named_listeners"]["public"],
        services[1]["listeners"][0]
    );
    let value = server.path("echo.wasm");
    let value = value.to_str().expect("UTF-8");
    let set = ["store", "set", "key", value, "--service", "echo"];
    server.ask(&set).success();
    let keys = |service: &str| {
        server
            .ask(&["store", "list", "--service", service])
            .success()
    };
    assert!(keys("echo").contains("key") && !keys("count").contains("key"));
}

#[test]
fn a_command_names_one_where_there_are_several() {
    let server = with_file(TWO, &["counter", "echo"]).start();
    for command in ["rollback", "history", "topics"] {
        let told = server.ask(&[command]).failure(1);
        assert!(
            told.contains("choose one with --service: count, echo"),
            "{told}"
        );
    }
    let told = server.ask(&["history", "--service", "cuont"]).failure(1);
    assert!(
        told.contains("no service \"cuont\"; there are: count, echo"),
        "{told}"
    );
    let shout = server.path("shout.wasm");
    std::fs::write(&shout, prebuilt("shout")).expect("writable");
    let shout = shout.to_str().expect("UTF-8");
    let swapped = server.ask(&["swap", shout, "--service", "echo"]).success();
    assert!(swapped.contains("generation 2"), "{swapped}");
    let status = server.status();
    assert_eq!(status["services"][0]["generation"], 1);
    assert_eq!(status["services"][1]["generation"], 2);
    let text = server.ask(&["status"]).success();
    assert!(
        text.contains("service      count") && text.contains("(public)"),
        "{text}"
    );
    let one = server.ask_json(&["status", "--service", "echo"]);
    assert_eq!(one["generation"], 2);
    server.ask(&["rollback", "--service", "echo"]).success();
}

#[test]
fn a_server_is_found_by_port_or_name_and_a_stopped_one_is_not_waited_for() {
    let server = with_file(TWO, &["counter", "echo"]).start();
    let other = Serve::prebuilt("shout").runtime_dir(server.dir()).start();
    let dir = server.dir();
    let pid = |which: &str| {
        let ran = ask(dir, &["status", "--json", "--control", which]).success();
        let status: serde_json::Value = serde_json::from_str(&ran).expect("JSON");
        status["pid"].as_u64()
    };
    assert_eq!(pid("count"), Some(server.pid().into()));
    assert_eq!(pid("echo"), Some(server.pid().into()));
    assert_eq!(pid("guest"), Some(other.pid().into()));
    // Also where a directory is called so.
    std::fs::create_dir(dir.join("echo")).expect("created");
    let mut command = hotsocket();
    command
        .args(["status", "--control", "echo"])
        .current_dir(dir)
        .env("XDG_RUNTIME_DIR", dir);
    let text = run(&mut command).success();
    assert!(text.contains("service      echo"), "{text}");
    assert_eq!(pid(&other.port().to_string()), Some(other.pid().into()));
    let told = ask(dir, &["status"]).failure(1);
    assert!(
        told.contains("count on 127.0.0.1:") && told.contains("guest on "),
        "{told}"
    );
    let told = ask(dir, &["status", "--control", "nobody"]).failure(1);
    assert!(
        told.contains("no hotsocket server listens on nobody"),
        "{told}"
    );
    let list = ask(dir, &["list"]).success();
    assert_eq!(list.lines().count(), 3, "{list}");

    other.freeze();
    let list = ask(dir, &["list", "--timeout", "1s"]).success();
    assert!(
        list.contains("kill -CONT") && list.contains("count"),
        "{list}"
    );
    other.signal(Signal::CONT);
}
