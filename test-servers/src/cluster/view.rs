//! What one node believes about the cluster.

use std::ops::RangeInclusive;

use super::slot::SLOTS;
use crate::resp::Reply;
use crate::server::Server;

/// The `CLUSTER NODES` of one node.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) nodes: Vec<Node>,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) port: u16,
    pub(crate) flags: Vec<String>,
    pub(crate) primary: Option<String>,
    pub(crate) epoch: u64,
    pub(crate) slots: Vec<RangeInclusive<u16>>,
}

impl View {
    pub(crate) fn of(node: &Server) -> Result<Self, String> {
        match node.try_command(&["CLUSTER", "NODES"]) {
            Ok(Reply::Bulk(text)) => Self::parse(&String::from_utf8_lossy(&text)),
            other => Err(format!("port {} has no view: {other:?}", node.port())),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let nodes: Option<Vec<Node>> = text.lines().map(Node::parse).collect();
        let view = nodes
            .map(|nodes| Self { nodes })
            .filter(|view| view.nodes.iter().any(|node| node.has("myself")));
        view.ok_or_else(|| format!("not a view of a cluster:\n{text}"))
    }

    pub(crate) fn myself(&self) -> &Node {
        self.nodes
            .iter()
            .find(|node| node.has("myself"))
            .expect("`parse` has seen it")
    }

    /// What matters of the nodes that run, in an order that two views share; an error if those do not make a whole cluster.
    pub(crate) fn of_those(mut self, runs: impl Fn(u16) -> bool) -> Result<Vec<Node>, String> {
        self.nodes.retain(|node| runs(node.port));
        if let Some(ill) = self.nodes.iter().find(|node| !node.is_well()) {
            return Err(format!("port {} is {}", ill.port, ill.flags.join(",")));
        }
        let served: usize = self
            .nodes
            .iter()
            .filter(|node| node.is_primary())
            .flat_map(|node| &node.slots)
            .map(ExactSizeIterator::len)
            .sum();
        if served != usize::from(SLOTS) {
            return Err(format!("{served} slots are served"));
        }
        for node in &mut self.nodes {
            node.flags.retain(|flag| flag == "master" || flag == "slave");
            // A replica shows its primary's, and not at the same moment everywhere.
            node.epoch = 0;
        }
        self.nodes.sort_by_key(|node| node.port);
        Ok(self.nodes)
    }
}

impl Node {
    /// `<id> <ip>:<port>@<bus> <flags> <primary or -> <ping> <pong> <epoch> <link> <slot> <from>-<to> ...`
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_id, address, flags, primary, _ping, _pong, epoch, _link, slots @ ..] = words.as_slice() else {
            return None;
        };
        let (address, _bus) = address.split_once('@')?;
        Some(Self {
            port: address.rsplit_once(':')?.1.parse().ok()?,
            flags: flags.split(',').map(str::to_owned).collect(),
            primary: Some((*primary).to_owned()).filter(|primary| primary != "-"),
            epoch: epoch.parse().ok()?,
            slots: slots
                .iter()
                .filter(|slot| !slot.starts_with('['))
                .filter_map(|slot| range(slot))
                .collect(),
        })
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own == flag)
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.has("master")
    }

    pub(crate) fn is_well(&self) -> bool {
        !["fail", "fail?", "handshake", "noaddr"]
            .iter()
            .any(|flag| self.has(flag))
    }

    pub(crate) fn serves(&self, slot: u16) -> bool {
        self.slots.iter().any(|range| range.contains(&slot))
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    Some(from.parse().ok()?..=to.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_serves_what() {
        let view = View::parse(
            "07c3 127.0.0.1:30004@31004,host slave e7d1 0 1426238317239 4 connected\n\
             e7d1 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460 5462 [5461->-07c3]\n\
             67ed :0@0 master,noaddr - 0 1426238316232 2 disconnected\n",
        )
        .unwrap();
        let me = view.myself();
        assert!(me.is_primary() && me.is_well() && me.serves(5460) && me.serves(5462) && !me.serves(5461));
        assert_eq!(view.nodes[0].primary.as_deref(), Some("e7d1"));
        assert!(!view.nodes[2].is_well());
        assert!(view.of_those(|port| port == 30_001).unwrap_err().contains("5462 slots"));
    }
}
