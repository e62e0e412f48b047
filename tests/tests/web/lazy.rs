//! Nothing is done that nobody asked for.

use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use jam_http::Session;
use jam_tests::on_every_framework;
use jam_tests::web::{Browser, Framework};

use crate::support::{Switch, header, pages, serve};

on_every_framework!(
    a_handler_that_never_looks_costs_no_call_and_gets_no_header,
    a_read_costs_one_call_and_writes_nothing,
    reading_again_costs_nothing_more,
    asvs_7_6_2_a_visitor_gets_a_session_with_the_first_write_and_not_before,
    removing_what_is_not_there_writes_nothing,
);

async fn a_handler_that_never_looks_costs_no_call_and_gets_no_header<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    browser.visit("/write").await;
    switch.calls();
    let response = browser.visit("/static").await;
    assert_eq!(response.body(), "nothing of the session");
    for name in [SET_COOKIE, VARY, CACHE_CONTROL] {
        assert_eq!(header(&response, &name), None);
    }
    assert_eq!(switch.calls(), 0);
}

async fn a_read_costs_one_call_and_writes_nothing<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    browser.visit("/write").await;
    switch.calls();
    switch.set_write_down(true);
    let response = browser.visit("/read").await;
    assert_eq!(response.body(), "1");
    assert_eq!(header(&response, &SET_COOKIE), None);
    assert_eq!(switch.calls(), 1);
}

async fn reading_again_costs_nothing_more<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let site = pages(jam_http::SessionConfig::new(sessions)).on("/everything", |session: Session| async move {
        let (n, data) = (session.get::<u64>("n").await?, session.data().await?);
        let (key, handle) = (session.key().await?, session.handle().await?);
        assert!(n.is_some() && data.len() == 1 && key.is_some() && handle.is_some());
        session.exists().await
    });
    let browser = Browser::new(&F::serve(site).await);
    browser.visit("/write").await;
    switch.calls();
    assert_eq!(browser.read("/everything").await, "true");
    assert_eq!(switch.calls(), 1);
}

async fn asvs_7_6_2_a_visitor_gets_a_session_with_the_first_write_and_not_before<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let browser = Browser::<F>::new(&serve(&sessions).await);
    assert_eq!(browser.read("/read").await, "none");
    assert_eq!((browser.cookie(), switch.calls()), (None, 0));
    assert_eq!(browser.read("/write").await, "1");
    assert!(browser.cookie().is_some());
    assert_eq!(switch.calls(), 1);
}

async fn removing_what_is_not_there_writes_nothing<F: Framework>() {
    let (switch, sessions) = Switch::sessions();
    let site = pages(jam_http::SessionConfig::new(sessions)).on("/remove", |session: Session| async move {
        assert_eq!(session.remove("other").await?, None);
        Ok("")
    });
    let browser = Browser::new(&F::serve(site).await);
    browser.visit("/remove").await;
    assert_eq!((browser.cookie(), switch.calls()), (None, 0));
    browser.visit("/write").await;
    switch.calls();
    browser.visit("/remove").await;
    assert_eq!(switch.calls(), 1);
}
