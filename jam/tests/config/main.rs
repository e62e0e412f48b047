//! Configuration: what is right opens, what is wrong gets an error a person can act on.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[cfg(all(feature = "crypto", feature = "json"))]
mod encryption;

use std::sync::Arc;
use std::time::Duration;

use jam::{Config, ErrorKind, ManualClock, Sessions, StoreConfig, Timestamp};
use serde_json::{Map, Value, json};

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => panic!("an object"),
    }
}

fn config(value: Value) -> Config {
    Config::from_value(fields(value)).environment::<&str, &str>([])
}

async fn mistake(config: Config) -> String {
    let error = config.open().await.expect_err("a mistake");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.message().to_owned()
}

async fn ttl_of(sessions: &Sessions) -> Option<u64> {
    sessions.create("user1", json!({})).await.unwrap();
    let info = sessions.list("user1").await.unwrap().remove(0);
    info.expires_at().map(|at| at.as_secs() - 1000)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_secs(1000)))
}

#[tokio::test]
async fn names_and_defaults_are_those_of_jamlib() {
    for (ttl, expected) in [
        (json!({"session_type": "memory"}), Some(3600)),
        (json!({"sessions_type": "memory", "ttl": 60}), Some(60)),
        (json!({"type": "memory", "default_ttl": 60}), Some(60)),
        (json!({"type": "memory", "ttl": "none"}), None),
        (json!({"type": "memory", "ttl": "60"}), Some(60)),
        (json!({"url": "memory:?ttl=60"}), Some(60)),
        (json!({"url": "memory:?default_ttl=60"}), Some(60)),
        (json!({"type": "memory", "url": "memory:"}), Some(3600)),
        (json!({"type": "custom", "custom_module": "memory"}), Some(3600)),
    ] {
        let sessions = config(ttl.clone()).clock(clock()).open().await.unwrap();
        assert_eq!(ttl_of(&sessions).await, expected, "{ttl}");
    }
}

#[tokio::test]
async fn a_mistake_is_named_with_field_and_expectation() {
    for (wrong, expected) in [
        (json!({}), "`session_type` is missing"),
        (json!({"type": "memry"}), "did you mean `memory`?"),
        (json!({"type": "redis-cluster-9"}), "there are: "),
        (
            json!({"type": "memory", "tlt": 60}),
            "unknown field `tlt`; did you mean `ttl`?",
        ),
        (json!({"type": "memory", "json_path": "x"}), "unknown field `json_path`"),
        (
            json!({"type": "memory", "ttl": "soon"}),
            "`ttl` must be a number of seconds above 0, or \"none\"",
        ),
        (json!({"type": "memory", "ttl": -1}), "`ttl` must be"),
        (json!({"type": "memory", "ttl": 0}), "`ttl` must be"),
        (
            json!({"type": "memory", "ttl": 0.5}),
            "`ttl` must be at least one second",
        ),
        (
            json!({"type": "memory", "ttl": 1, "default_ttl": 2}),
            "`default_ttl` is another name of `ttl`",
        ),
        (
            json!({"type": "memory", "max_sessions": 0}),
            "`max_sessions` must be a whole number from 1",
        ),
        (
            json!({"type": "memory", "when_full": "explode"}),
            "`when_full` must be \"evict_oldest\" or \"refuse\"",
        ),
        (
            json!({"type": "memory", "renew_on_read": "maybe"}),
            "`renew_on_read` must be true or false",
        ),
        (
            json!({"type": "memory", "layout": "jamlib", "max_lifetime": 60}),
            "`max_lifetime` needs ids",
        ),
        (
            json!({"type": "memory", "is_session_crypt": true}),
            "needs `session_aes_secret`",
        ),
        (
            json!({"type": "memory", "encrypt_data": true}),
            "`encrypt_data` must be left out",
        ),
        (
            json!({"type": "json", "url": "memory:"}),
            "`session_type` names another backend than the URL (`memory:`)",
        ),
        (json!({"type": "custom"}), "needs `custom_module`"),
        // It would be a file in the root directory.
        (
            json!({"url": "json://sessions.json"}),
            "`json:sessions.json` is a path from the working directory, `json:/sessions.json` one from the root",
        ),
        (json!({"url": "json-dir://tmp/a?ttl=5"}), "`json-dir:tmp/a`"),
        (json!({"url": "file://tmp/a"}), "`file:/tmp/a`"),
        (json!({"type": 5}), "`session_type` must be a text"),
        (
            json!({"type": "memory", "session_aes_secret": 5}),
            "`session_aes_secret` must be a key",
        ),
        (
            json!({"type": "memory", "ttl": "$NOT_SET"}),
            "`ttl`: the environment variable `NOT_SET` is not set",
        ),
    ] {
        let message = mistake(config(wrong.clone())).await;
        assert!(message.contains(expected), "{wrong}: {message}");
    }
}

/// An empty field, as a template leaves it whose variable was empty, switches nothing off in silence.
#[tokio::test]
async fn a_field_without_a_value_is_a_mistake() {
    for field in [
        "is_session_crypt",
        "max_sessions",
        "ttl",
        "cache_staleness",
        "durability",
    ] {
        let said = mistake(config(json!({"type": "memory", field: null}))).await;
        assert!(said.contains(&format!("`{field}` has no value")), "{said}");
    }
    let said = mistake(config(json!({"type": "memory", "cookie": {"same_site": null}}))).await;
    assert!(said.contains("`same_site` has no value"), "{said}");
}

#[tokio::test]
async fn no_error_shows_a_secret() {
    let secret = "hunter2-hunter2-hunter2";
    for wrong in [
        json!({"type": "memory", "is_session_crypt": true, "session_aes_secret": secret}),
        json!({"type": "memory", "is_session_crypt": secret}),
        json!({"type": "memory", "unknown": secret}),
        json!({"type": "memory", "ttl": secret}),
        json!({"url": format!("nosuch://user:{secret}@host/0")}),
        json!({"url": format!("memory://user:pa?{secret}@host/0")}),
        json!({"url": format!("memory://user:pa${}@host/0", secret.replace('-', "_"))}),
        json!({"type": format!("memory://user:{secret}@host/0")}),
        json!({"url": format!("json://user:{secret}@host/0")}),
        // A `?` or a `$` in a password: what looks like a field or a variable is the rest of it.
        json!({"url": "memory://:Xk?hunter2=3z@cache:6379/0"}),
        json!({"url": "memory://:Xk?hunter2=3z&hunter2=4z@cache:6379/0"}),
        json!({"url": "memory://:Xk?hunter2=3z@cache:6379/0", "hunter2": 5}),
        json!({"url": "memory://:p4ss$HUNTER2@cache:6379/0"}),
        json!({"type": "memory", "redis_uri": "redis://:p4ss$HUNTER2@cache:6379/0"}),
        json!({"type": "memory", "password": "p4ss$HUNTER2"}),
        json!({"type": "memory", "sentinel_password": "p4ss${HUNTER2}"}),
        json!({"type": "memory", "pasword": "p4ss$HUNTER2"}),
        json!({"type": "memory", "aes_secret": "p4ss$HUNTER2"}),
        json!({"type": "memory", "session_aes_secret": ["p4ss$HUNTER2"]}),
    ] {
        let error = config(wrong).open().await.unwrap_err();
        let shown = format!("{error} {error:?}").to_lowercase();
        assert!(!shown.contains("hunter2"), "{error:?}");
    }
    // The field is named all the same, and so is one that stands beside the URL.
    let said = mistake(config(json!({"type": "memory", "password": "p4ss$HUNTER2"}))).await;
    assert!(
        said.contains("`password`: it refers to an environment variable"),
        "{said}"
    );
    let said = mistake(config(json!({"url": "memory:?z=a@b", "tlt": 60}))).await;
    assert!(said.contains("unknown field `tlt`; did you mean `ttl`?"), "{said}");
    let said = mistake(config(json!({"url": "memory:?tlt=a@b"}))).await;
    assert!(said.contains("not shown") && !said.contains("did you mean"), "{said}");
    for wrong in [
        format!("redis://user:{secret}@host/0"),
        format!("redis:/user:{secret}@host/0.toml"),
        format!("redis//:{secret}@host/0"),
    ] {
        let error = Config::from_file(&wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    for url in [format!("x://u:{secret}@h?p={secret}"), format!("x://u:p?{secret}=1@h")] {
        assert!(!format!("{:?}", StoreConfig::from_url(&url).unwrap()).contains(secret));
    }
    assert!(!format!("{:?}", config(json!({"session_aes_secret": secret}))).contains(secret));
}

#[tokio::test]
async fn the_environment_fills_in_and_overrides() {
    let with = |value: Value, variables: &[(&str, &str)]| {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, *value)).collect();
        Config::from_value(fields(value)).environment(variables).clock(clock())
    };
    let file = json!({"type": "${KIND:-memory}", "default_ttl": "$SECONDS"});
    let sessions = with(file.clone(), &[("SECONDS", "60")]).open().await.unwrap();
    assert_eq!(ttl_of(&sessions).await, Some(60));
    let sessions = with(file.clone(), &[("SECONDS", "60"), ("JAM_SESSION_TTL", "70")])
        .open()
        .await
        .unwrap();
    assert_eq!(ttl_of(&sessions).await, Some(70));
    let sessions = with(json!({}), &[("JAM_SESSION_TYPE", "memory")]).open().await.unwrap();
    assert_eq!(ttl_of(&sessions).await, Some(3600));
    let unset = json!({"type": "memory", "ttl": "$UNSET"});
    let sessions = with(unset, &[("JAM_SESSION_TTL", "70")]).open().await.unwrap();
    assert_eq!(
        ttl_of(&sessions).await,
        Some(70),
        "what is overridden need not be there"
    );
    let url = json!({"url": "memory:?ttl=60"});
    let sessions = with(url, &[("JAM_SESSION_TTL", "70")]).open().await.unwrap();
    assert_eq!(
        ttl_of(&sessions).await,
        Some(70),
        "what a URL says is overridden as well"
    );
    let twice = [("JAM_SESSION_DEFAULT_TTL", "60"), ("JAM_SESSION_TTL", "70")];
    assert!(
        mistake(with(json!({"type": "memory"}), &twice))
            .await
            .contains("both set `ttl`")
    );
    let waiting = [("JAM_SESSION_AES_SECRET", "a key that waits")];
    assert!(with(json!({"type": "memory"}), &waiting).open().await.is_ok());
    let message = mistake(with(file, &[("SECONDS", "60"), ("JAM_SESSION_TLT", "70")])).await;
    assert!(
        message.contains("JAM_SESSION_TLT") && message.contains("did you mean `ttl`"),
        "{message}"
    );
}

#[tokio::test]
async fn files_are_read_by_their_ending_and_pointer() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let open = async |path: &std::path::Path, pointer: &str| {
        Config::from_file(path)
            .unwrap()
            .pointer(pointer)
            .environment::<&str, &str>([])
            .clock(clock())
            .open()
            .await
    };
    let json = write(
        "a.json",
        r#"{"jam": {"session": {"type": "memory", "ttl": 60}}, "other": {"type": "memory"}}"#,
    );
    assert_eq!(ttl_of(&open(&json, "jam.session").await.unwrap()).await, Some(60));
    assert_eq!(ttl_of(&open(&json, "other").await.unwrap()).await, Some(3600));
    let error = open(&json, "jam.sesion").await.unwrap_err();
    assert!(error.message().contains("did you mean `session`?"), "{error}");
    assert!(error.message().contains("a.json"), "{error}");

    #[cfg(feature = "toml")]
    {
        let toml = write("a.toml", "[jam.session]\ntype = 'memory'\nttl = 60\n");
        assert_eq!(ttl_of(&open(&toml, "jam.session").await.unwrap()).await, Some(60));
        let broken = write("b.toml", "[jam.session]\nsession_aes_secret = hunter2\n");
        let error = Config::from_file(broken).unwrap_err();
        assert!(error.message().contains("b.toml: not valid TOML at line 2"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    #[cfg(feature = "yaml")]
    {
        let yaml = write("a.yaml", "jam:\n  session:\n    type: memory\n    ttl: 60\n");
        assert_eq!(ttl_of(&open(&yaml, "jam.session").await.unwrap()).await, Some(60));
        let broken = write("b.yml", "jam:\n  session: {type: 'hunter2\n");
        let error = Config::from_file(broken).unwrap_err();
        assert!(error.message().contains("b.yml: not valid YAML at line"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    for (path, expected) in [("missing.json", "cannot be read"), ("a.ini", "a config file ends in")] {
        let error = Config::from_file(directory.path().join(path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(expected), "{error}");
    }
}

/// The last one would count in silence, and switch encryption off, say.
#[test]
fn a_field_that_is_there_twice_is_refused_in_every_format() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [
        (
            "a.json",
            r#"{"jam": {"session": {"type": "memory", "is_session_crypt": true, "ttl": 60, "is_session_crypt": false}}}"#,
        ),
        (
            "b.json",
            r#"{"jam": {"session": {"type": "memory"}}, "jam": {"session": {"type": "memory"}}}"#,
        ),
        (
            "c.json",
            r#"{"jam": {"session": {"type": "memory", "cookie": [{"name": "a", "n\u0061me": "b"}]}}}"#,
        ),
        #[cfg(feature = "toml")]
        (
            "a.toml",
            "[jam.session]\ntype = 'memory'\nis_session_crypt = true\nttl = 60\nis_session_crypt = false\n",
        ),
        #[cfg(feature = "yaml")]
        (
            "a.yaml",
            "jam:\n  session:\n    type: memory\n    is_session_crypt: true\n    ttl: 60\n    is_session_crypt: false\n",
        ),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        let error = Config::from_file(&path).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.message().contains(name) && error.message().contains("line "),
            "{error}"
        );
        assert!(!name.ends_with("json") || error.message().contains("twice"), "{error}");
    }
}

#[tokio::test]
async fn a_url_or_a_path_is_told_apart() {
    assert!(jam::open("memory:").await.is_ok());
    assert!(
        Config::from_url_or_file("nosuch.json")
            .unwrap_err()
            .message()
            .contains("cannot be read")
    );
    assert!(
        mistake(Config::from_url_or_file("nosuch:x").unwrap())
            .await
            .contains("unknown backend `nosuch`")
    );
    let sessions = Config::from_url("memory:?ttl=60&max_lifetime=none")
        .unwrap()
        .clock(clock())
        .open()
        .await
        .unwrap();
    assert_eq!(ttl_of(&sessions).await, Some(60));
}

#[tokio::test]
async fn a_builder_takes_what_only_code_can_set() {
    let builder = config(json!({"type": "memory"})).builder().await.unwrap();
    let sessions = builder
        .id_factory(|| "device".to_owned())
        .ttl(Duration::from_secs(5))
        .build()
        .unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    assert!(id.as_str().starts_with("user1:device."));
}

#[cfg(feature = "json")]
#[tokio::test]
async fn the_file_stores_open_by_name_and_url() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sessions.json");
    for value in [
        json!({"type": "json", "json_path": file, "durability": "os"}),
        json!({"url": format!("json:{}?durability=os", file.display())}),
        json!({"type": "json-dir", "storage_path": directory.path().join("a"), "file_prefix": "s_"}),
        json!({"url": format!("json-dir:{}", directory.path().join("b").display())}),
        json!({"url": format!("json://{}", directory.path().join("c.json").display())}),
    ] {
        let sessions = config(value.clone())
            .open()
            .await
            .unwrap_or_else(|error| panic!("{value}: {error:?}"));
        let id = sessions.create("user1", json!({"a": 1})).await.unwrap();
        sessions.close().await.unwrap();
        drop(sessions);
        let sessions = config(value.clone()).open().await.unwrap();
        assert!(sessions.exists(&id).await.unwrap(), "{value}");
        sessions.close().await.unwrap();
    }
    let message = mistake(config(json!({"type": "json", "durability": "full"}))).await;
    assert!(message.contains("`durability` must be \"sync\" or \"os\""), "{message}");
}

/// One line, around any backend; and what it means for what others write.
#[cfg(all(feature = "cache", feature = "json"))]
#[tokio::test]
async fn one_line_keeps_sessions_near_for_as_long_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let clock = clock();
    let settings = json!({"type": "json-dir", "storage_path": path, "cache_staleness": 0.5, "cache_sessions": 100});
    let cached = config(settings).clock(clock.clone()).open().await.unwrap();
    let plain = json!({"type": "json-dir", "storage_path": path});
    let other = config(plain).clock(clock.clone()).open().await.unwrap();
    let id = cached.create("user1", json!({})).await.unwrap();
    assert!(cached.exists(&id).await.unwrap());
    assert!(other.delete(&id).await.unwrap());
    assert!(cached.exists(&id).await.unwrap(), "nobody has told it");
    clock.advance(Duration::from_millis(500));
    assert!(!cached.exists(&id).await.unwrap());

    let said = mistake(config(json!({"type": "memory", "cache_staleness": 0}))).await;
    assert!(said.contains("`cache_staleness`"), "{said}");
    let said = mistake(config(json!({"type": "memory", "cache_sessions": 5}))).await;
    assert!(
        said.contains("`cache_sessions`") && said.contains("cache_staleness"),
        "{said}"
    );
    let both = json!({"type": "redis", "near_cache": 5, "cache_staleness": 1});
    let said = mistake(config(both)).await;
    assert!(said.contains("`near_cache`"), "{said}");
}
