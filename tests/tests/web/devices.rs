//! The devices of a user: listed, revoked, and all of them out.

use jam_http::{Session, SessionConfig};
use jam_tests::on_every_framework;
use jam_tests::web::{Browser, Framework};
use serde_json::json;

use crate::support::{cookie_of, pages, serve, sessions, two_processes};

on_every_framework!(
    asvs_7_5_2_devices_are_listed_and_revoked,
    asvs_7_4_3_a_change_of_password_ends_the_other_sessions,
    asvs_7_4_2_and_7_4_5_a_disabled_account_is_out_everywhere,
    a_session_that_ended_elsewhere_ends_no_others_though_a_cache_has_it,
);

async fn asvs_7_5_2_devices_are_listed_and_revoked<F: Framework>() {
    let sessions = sessions();
    let site = pages(SessionConfig::new(sessions.clone()))
        .on("/devices", |session: Session| async move {
            let devices = session.list().await?;
            let own = session.handle().await?;
            assert!(
                devices
                    .iter()
                    .all(|device| device.is_current() == (Some(device.handle()) == own.as_ref()))
            );
            Ok(devices.len())
        })
        .on("/revoke/other", |session: Session| async move {
            let devices = session.list().await?;
            let other = devices.iter().find(|device| !device.is_current()).unwrap();
            assert!(session.revoke(other.handle()).await?);
            session.revoke(other.handle()).await
        })
        .on("/revoke/foreign", |session: Session| async move {
            let foreign = session.config().sessions().list("user2").await?;
            session.revoke(foreign[0].handle()).await
        })
        .on("/revoke/own", |session: Session| async move {
            session.revoke(session.handle().await?.unwrap()).await
        })
        .on("/everywhere", |session: Session| async move {
            session.logout_everywhere().await
        });
    let app = F::serve(site).await;
    sessions.create("user2", json!({})).await.unwrap();
    let [one, two, three] = [Browser::new(&app), Browser::new(&app), Browser::new(&app)];
    for browser in [&one, &two, &three] {
        browser.visit("/login").await;
    }
    assert_eq!(one.read("/devices").await, "3");
    assert_eq!(one.read("/revoke/other").await, "false");
    let alive = [two.status("/user").await, three.status("/user").await];
    assert_eq!(alive.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(one.read("/revoke/foreign").await, "false");
    assert_eq!(sessions.list("user2").await.unwrap().len(), 1);
    assert_eq!(one.read("/revoke/own").await, "true");
    assert_eq!(one.cookie(), None);
    one.visit("/login").await;
    assert_eq!(one.read("/everywhere").await, "2");
    assert_eq!(one.cookie(), None);
    assert_eq!(sessions.list("user1").await.unwrap().len(), 0);
    // Without a session there are no devices.
    assert_eq!(one.read("/devices").await, "0");
    assert_eq!(one.read("/everywhere").await, "0");
    // Whose session is gone is not known, so nobody is told that all have ended.
    two.visit("/login").await;
    let gone = Browser::with_cookie(&app, cookie_of(sessions.create("user1", json!({})).await.unwrap()));
    assert_eq!(sessions.clear_others(two.read("/id").await).await.unwrap(), 1);
    assert_eq!(gone.status("/everywhere").await, 401);
    assert_eq!(two.status("/user").await, 200);
}

async fn asvs_7_4_3_a_change_of_password_ends_the_other_sessions<F: Framework>() {
    let site = pages(SessionConfig::new(sessions())).on("/password", |session: Session| async move {
        session.rework().await?;
        session.clear_others().await
    });
    let app = F::serve(site).await;
    let [own, other] = [Browser::new(&app), Browser::new(&app)];
    for browser in [&own, &other] {
        browser.visit("/login").await;
    }
    assert_eq!(own.read("/password").await, "1");
    assert_eq!((own.status("/user").await, other.status("/user").await), (200, 401));
}

async fn asvs_7_4_2_and_7_4_5_a_disabled_account_is_out_everywhere<F: Framework>() {
    let sessions = sessions();
    let app: F = serve(&sessions).await;
    let [one, two] = [Browser::new(&app), Browser::new(&app)];
    for browser in [&one, &two] {
        browser.visit("/login").await;
    }
    // What an administrator's page does.
    assert_eq!(sessions.clear("user1").await.unwrap(), 2);
    assert_eq!((one.status("/user").await, two.status("/user").await), (401, 401));
}

async fn a_session_that_ended_elsewhere_ends_no_others_though_a_cache_has_it<F: Framework>() {
    let (here, elsewhere) = two_processes(true);
    let victim = elsewhere.create("user1", json!({})).await.unwrap();
    let handle = elsewhere.get(&victim).await.unwrap().unwrap().handle().clone();
    let site = pages(SessionConfig::new(here))
        .on("/revoke", move |session: Session| {
            let handle = handle.clone();
            async move { session.revoke(handle).await }
        })
        .on("/everywhere", |session: Session| async move {
            session.logout_everywhere().await
        });
    let app = F::serve(site).await;
    for (path, answer) in [("/revoke", (200, "false")), ("/everywhere", (401, ""))] {
        let stolen = elsewhere.create("user1", json!({})).await.unwrap();
        let browser = Browser::with_cookie(&app, cookie_of(&stolen));
        browser.visit("/user").await;
        assert!(elsewhere.delete(&stolen).await.unwrap());
        assert_eq!(browser.read("/user").await, "user1", "it has not heard of it");
        let response = browser.visit(path).await;
        assert_eq!((response.status().as_u16(), &**response.body()), answer, "{path}");
        assert!(elsewhere.exists(&victim).await.unwrap(), "{path}");
    }
    // One that is alive does.
    let browser = Browser::with_cookie(&app, cookie_of(elsewhere.create("user1", json!({})).await.unwrap()));
    assert_eq!(browser.read("/revoke").await, "true");
    assert!(!elsewhere.exists(&victim).await.unwrap());
}
