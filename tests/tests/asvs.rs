//! The table of the security standard names tests that are there, and every test that names a row is in the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_row_of_the_asvs_table_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = fs::read_to_string(root.join("docs/asvs.md")).unwrap();
    let mut sources = fs::read_to_string(root.join("jam-http/tests/config.rs")).unwrap();
    for folder in ["tests/tests/web", "tests/tests/browser"] {
        for file in fs::read_dir(root.join(folder)).unwrap() {
            sources.push_str(&fs::read_to_string(file.unwrap().path()).unwrap());
        }
    }
    let is_name = |text: &&str| {
        text.len() > 20
            && text
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let named: BTreeSet<_> = table.split('`').filter(is_name).collect();
    for name in &named {
        assert!(sources.contains(&format!("fn {name}")), "{name} is no test");
    }
    let tests = sources.split("fn ").filter_map(|rest| rest.split(['<', '(']).next());
    for test in tests.filter(|test| test.starts_with("asvs_")) {
        assert!(named.contains(test), "{test} is not in docs/asvs.md");
    }
    for path in table.split('`').filter(|text| text.contains("/tests/")) {
        let path = path.trim_end_matches('/');
        assert!(root.join(path).exists(), "{path}");
    }
}
