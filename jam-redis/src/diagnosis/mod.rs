//! What is to be said about the servers behind a store, for `jam doctor`.

mod cluster;
mod sentinels;
mod server;

use jam_core::diagnosis::try_out;
use jam_core::{Finding, SessionStore};

use crate::RedisOptions;
use crate::connect::Link;

/// Opens the store, and looks at who watches over its servers, at each server, and whether a write comes through.
pub(crate) async fn of(options: RedisOptions) -> Vec<Finding> {
    // Lazily: where no server can be found, the sentinels and the other nodes may say why.
    let store = match options.connect_lazily(true).open().await {
        Ok(store) => store,
        Err(error) => return vec![Finding::error("connection", &error)],
    };
    let link = store.link();
    let mut findings = match link {
        Link::One(node) => match node.watch().await {
            Some(watch) => sentinels::judge(&watch),
            None => Vec::new(),
        },
        Link::Many(nodes) => match nodes.survey().await {
            Ok(views) => cluster::judge(&views),
            // What keeps all of them from answering is said below.
            Err(_) => Vec::new(),
        },
    };
    if let Err(error) = link.open(store.is_near()).await {
        findings.push(Finding::error("connection", &error));
        return findings;
    }
    match link.primaries().await {
        Ok(primaries) => {
            for (address, node) in primaries {
                let found = match node.live().await {
                    Ok(live) => server::of(&live, store.wanted_replicas()).await,
                    Err(error) => vec![Finding::error("connection", &error)],
                };
                let named = |mut finding: Finding| {
                    if let Link::Many(_) = link {
                        finding.found = format!("{}:{}: {}", address.0, address.1, finding.found).into();
                    }
                    finding
                };
                findings.extend(found.into_iter().map(named));
            }
        }
        Err(error) => findings.push(Finding::error("connection", &error)),
    }
    findings.push(try_out(&store).await);
    if let Err(error) = store.close().await {
        findings.push(Finding::error("closing", &error));
    }
    findings
}
