//! Nothing secret is shown when a server or the network to it fails: not by a log, an error or a `Debug`.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use jam::{SessionOptions, SessionStore, Sessions};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Proxy, Server};
use jam_tests::Recorder;
use serde_json::json;

const LIMIT: Duration = Duration::from_millis(200);

/// Redis behind a password and a bad network: what the driver and the server say may repeat what they were told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_of_a_server_or_a_network_shows_what_is_secret() {
    const PASSWORD: &str = "pass:word@s3same/open";
    const PIN: &str = "p1n-of-the-payload";
    const KEY: &str = "carol@example.org";
    let recorder = Recorder::global();
    let mut shown = String::new();
    let mut secrets: Vec<String> = [PASSWORD, "pass%3Aword%40s3same%2Fopen", PIN, KEY]
        .map(str::to_owned)
        .into();
    for kind in [Kind::Old, Kind::New] {
        let server = Server::options(kind).requirepass(PASSWORD).start();
        let proxy = Proxy::start(server.address());
        let options = |password: &str| {
            RedisStore::options(proxy.url())
                .password(password)
                .connect_timeout(LIMIT)
                .response_timeout(LIMIT)
        };
        write!(shown, "{:?}", options(PASSWORD)).unwrap();
        let store = Arc::new(options(PASSWORD).open().await.unwrap());
        write!(shown, "{store:?}").unwrap();
        let mut errors = Vec::new();
        for wrong in [
            options(&PASSWORD.replace('w', "v")).open().await,
            RedisStore::open(server.url().replace("redis://", "redis//")).await,
            RedisStore::open(server.url().replace("redis:", "radish:")).await,
            RedisStore::open(format!("{}/{PASSWORD}", server.url())).await,
            RedisStore::open(server.url().replace("127.0.0.1", "host.invalid")).await,
        ] {
            errors.push(wrong.unwrap_err());
        }
        let sessions = Sessions::builder(Arc::clone(&store))
            .renew_on_read(true)
            .build()
            .unwrap();
        let id = sessions.create(KEY, json!({"pin": PIN})).await.unwrap();
        secrets.push(id.as_str().to_owned());
        for entry in store.list(&KEY.parse().unwrap()).await.unwrap() {
            secrets.push(entry.id.id().to_owned());
        }
        let everything = async |errors: &mut Vec<_>| {
            errors.extend(sessions.get(&id).await.err());
            errors.extend(sessions.update(&id, json!({"pin": PIN, "more": 1})).await.err());
            errors.extend(sessions.create(KEY, json!({"pin": PIN})).await.err());
            errors.extend(sessions.touch(&id).await.err());
            errors.extend(sessions.list(KEY).await.err());
            errors.extend(sessions.rework_as(&id, "nobody", SessionOptions::new()).await.err());
            errors.extend(sessions.delete("carol@example.org:x").await.err());
            errors.extend(store.scan(None, 10).await.err());
        };
        for fault in [Proxy::black_hole, Proxy::drop_replies, Proxy::refuse, Proxy::sever] {
            fault(&proxy);
            everything(&mut errors).await;
            proxy.heal();
        }
        let hash = format!("sessions:{KEY}");
        let faults: [&[&str]; 4] = [
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
            &["HSET", &hash, secrets.last().unwrap(), "\0\0p1n-of-the-payload"],
            &["SET", &hash, PIN],
        ];
        for fault in faults {
            server.command(fault);
            server.command(&["DEL", "sessions:nobody"]);
            everything(&mut errors).await;
        }
        assert!(errors.len() > 30, "there were only {} errors", errors.len());
        for error in errors {
            let mut source: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = source {
                write!(shown, "{error} {error:?}").unwrap();
                source = error.source();
            }
        }
    }
    let seen = recorder.seen();
    assert!(seen.contains("connected to a Redis server"), "nothing was recorded");
    for secret in secrets {
        let bytes = format!("{:?}", secret.as_bytes());
        for secret in [secret.as_str(), bytes.trim_matches(['[', ']'])] {
            assert!(!seen.contains(secret), "a log shows {secret}");
            assert!(!shown.contains(secret), "an error or Debug shows {secret}: {shown}");
        }
    }
}
