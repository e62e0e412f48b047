//! What the site keeps in a session, and what it makes of the sessions of one user.

use axum::http::{HeaderMap, header};
use jam::tower::Device;
use jam::{Clock, SystemClock, Timestamp};
use serde::{Deserialize, Serialize};

use crate::browser::Browser;

/// What a session says about where it is used. Beside it there are `count` and `notice`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Visit {
    /// The `User-Agent` header: what the browser says of itself, and nothing to rely on.
    pub(crate) agent: String,
    /// When it was last here, in Unix seconds and whole minutes: a session is written once a minute at most.
    pub(crate) seen: u64,
}

impl Visit {
    const LONGEST_AGENT: usize = 300;

    /// Of a request.
    pub(crate) fn now(headers: &HeaderMap) -> Self {
        let agent = headers
            .get(header::USER_AGENT)
            .map_or(&b""[..], |agent| agent.as_bytes());
        Self {
            agent: String::from_utf8_lossy(agent)
                .chars()
                .take(Self::LONGEST_AGENT)
                .collect(),
            seen: SystemClock.now().as_secs() / 60 * 60,
        }
    }
}

/// A line of "your devices".
#[derive(Debug)]
pub(crate) struct DeviceLine {
    pub(crate) handle: String,
    agent: String,
    pub(crate) began: Option<Timestamp>,
    pub(crate) seen: Timestamp,
    pub(crate) is_this: bool,
}

impl DeviceLine {
    /// What a listing shows. A session whose data is not that of this site is shown all the same: its owner may want to end
    /// it.
    pub(crate) fn new(device: &Device) -> Self {
        let visit: Visit = device.data_as().unwrap_or_default();
        let began = device.created();
        Self {
            handle: device.handle().as_str().to_owned(),
            agent: visit.agent,
            began,
            // The minute in which it was seen is the minute in which it began.
            seen: Timestamp::from_secs(visit.seen).max(began.unwrap_or(Timestamp::ZERO)),
            is_this: device.is_current(),
        }
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser::read(&self.agent)
    }
}
