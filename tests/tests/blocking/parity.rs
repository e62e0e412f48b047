//! What the async manager offers the blocking one offers too, under the same name and with the same signature.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The public methods of the inherent impls of a type in the files of a folder: their signatures by name, on one line.
fn methods(folder: &str, of: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let mut methods = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        for part in source.split(&format!("\nimpl {of} {{\n")).skip(1) {
            let body = part.split("\n}\n").next().unwrap();
            for method in body.split("\n    pub ").skip(1) {
                let signature = method.split(" {\n").next().unwrap();
                let signature = signature.strip_prefix("async ").unwrap_or(signature);
                let Some(rest) = signature.strip_prefix("fn ") else {
                    continue;
                };
                let name = rest.split(['(', '<']).next().unwrap();
                // However rustfmt broke it.
                let line = rest.split_whitespace().collect::<Vec<_>>().join(" ");
                let line = line.replace("( ", "(").replace(", )", ")");
                methods.insert(name.to_owned(), line);
            }
        }
    }
    methods
}

fn assert_same(of: &str, of_its_own: &[&str]) {
    let asynchronous = methods("jam-core/src/sessions", of);
    let blocking = methods("jam/src/blocking", of);
    assert!(asynchronous.len() > 10, "{asynchronous:?}");
    for (name, signature) in asynchronous {
        let Some(waiting) = blocking.get(&name) else {
            panic!("jam::blocking::{of} has no `{name}`");
        };
        if !of_its_own.contains(&name.as_str()) {
            // Whether an argument is changed inside is nobody's affair.
            let signature = signature.replace("(mut ", "(").replace(", mut ", ", ");
            assert_eq!(*waiting, signature, "`{name}` differs");
        }
    }
}

#[test]
fn the_blocking_manager_has_every_method_of_the_async_one() {
    // A thread has to be started for the first; the other three differ by what they give.
    assert_same("Sessions", &["new", "builder", "builder_on", "sweep_every"]);
}

#[test]
fn the_blocking_builder_has_every_setting_of_the_async_one() {
    assert_same("SessionsBuilder", &["build"]);
}
