//! "Your devices", and the counter.

use jam::{Clock, SystemClock, Timestamp};
use maud::{Markup, html};

use super::{Frame, icons};
use crate::times;
use crate::visit::DeviceLine;

/// What the page shows.
pub(crate) struct Devices<'a> {
    pub(crate) name: &'a str,
    pub(crate) lines: &'a [DeviceLine],
    pub(crate) count: u64,
    pub(crate) notice: Option<&'a str>,
}

impl Devices<'_> {
    pub(crate) fn render(&self) -> Markup {
        let now = SystemClock.now();
        let main = html! {
            div.columns {
                section aria-labelledby="devices" {
                    h1 #devices { "Your devices" }
                    p.lead { (self.summary()) }
                    ul.devices {
                        @for line in self.lines { (device(line, now)) }
                    }
                    @if self.lines.len() > 1 {
                        form.others method="post" action="/devices/revoke-others" {
                            button.danger type="submit" { "Sign out everywhere else" }
                        }
                    }
                }
                section.card.counter #counter aria-labelledby="count" {
                    h2 #count { "A counter in your session" }
                    p.number { (self.count) }
                    form method="post" action="/count" { button.strong type="submit" { "One more" } }
                    p.small { "Open this page in a second tab and press in both at once: every press counts." }
                }
            }
        };
        Frame {
            title: "Your devices",
            name: Some(self.name),
            notice: self.notice,
            ..Frame::default()
        }
        .around(&main)
    }

    fn summary(&self) -> String {
        match self.lines.len() {
            1 => "You are signed in here and nowhere else.".to_owned(),
            count => format!("You are signed in on {count} devices. Sign out what you do not know."),
        }
    }
}

fn device(line: &DeviceLine, now: Timestamp) -> Markup {
    let browser = line.browser();
    let name = browser.name();
    html! {
        li.card.device.this[line.is_this] {
            (icons::shape(browser.shape))
            div.about {
                h2 { bdi { (name) } @if line.is_this { " " span.badge { "This device" } } }
                p.small {
                    @if let Some(began) = line.began { "Signed in " (time(began, now)) " · " }
                    @if line.is_this { "active now" } @else { "active " (time(line.seen, now)) }
                }
            }
            @if !line.is_this {
                form method="post" action="/devices/revoke" {
                    input type="hidden" name="handle" value=(line.handle);
                    button type="submit" aria-label={ "Sign out " (name) } { "Sign out" }
                }
            }
        }
    }
}

fn time(at: Timestamp, now: Timestamp) -> Markup {
    let exact = times::rfc3339(at);
    html! { time datetime=(exact) title=(exact) { (times::ago(now.since(at))) } }
}
