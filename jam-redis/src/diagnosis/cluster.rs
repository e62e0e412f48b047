//! Whether every slot of a cluster is served, and by whom if its primary fails.

use jam_core::Finding;

use crate::connect::{SLOTS, View};

const SUBJECT: &str = "cluster";

/// A node, as a line of `CLUSTER NODES` has it:
/// `<id> <address> <flags> <primary> <ping> <pong> <epoch> <link> <slot> ...`.
struct Node<'a> {
    id: &'a str,
    flags: Vec<&'a str>,
    follows: &'a str,
    slots: Vec<&'a str>,
}

impl<'a> Node<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut columns = line.split_whitespace();
        let (id, _, flags, follows) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
        Some(Self {
            id,
            flags: flags.split(',').collect(),
            follows,
            slots: columns.skip(4).collect(),
        })
    }

    fn is(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    fn is_up(&self) -> bool {
        !["fail", "fail?", "noaddr", "handshake"]
            .iter()
            .any(|flag| self.is(flag))
    }

    fn is_moving_slots(&self) -> bool {
        self.slots.iter().any(|slot| slot.starts_with('['))
    }

    fn serve(&self, served: &mut [bool]) {
        for slot in self.slots.iter().filter(|slot| !slot.starts_with('[')) {
            let (first, last) = slot.split_once('-').unwrap_or((slot, slot));
            if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>())
                && let Some(range) = served.get_mut(first..=last)
            {
                range.fill(true);
            }
        }
    }
}

/// What the nodes that answered say about the cluster.
pub(super) fn judge(views: &[View]) -> Vec<Finding> {
    // One that is cut off from the others calls the cluster down, so somebody who calls it well is believed.
    let Some(view) = views.iter().find(|view| view.is_well).or(views.first()) else {
        return Vec::new();
    };
    let Some(text) = &view.nodes else {
        return vec![Finding::warning(
            SUBJECT,
            "the user may not call CLUSTER NODES, so slots and replicas are not known",
            "grant it `+cluster|nodes`, which scans need too",
        )];
    };
    let nodes: Vec<_> = text.lines().filter_map(Node::of).collect();
    let primaries: Vec<_> = nodes
        .iter()
        .filter(|node| node.is("master") && node.is_up() && !node.slots.is_empty())
        .collect();
    let mut served = vec![false; SLOTS];
    for node in &primaries {
        node.serve(&mut served);
    }
    let mut findings = Vec::new();
    let unserved = served.iter().filter(|served| !**served).count();
    if unserved > 0 {
        findings.push(Finding::wrong(
            SUBJECT,
            format!("{unserved} of the {SLOTS} slots are served by no node: the sessions in them cannot be reached"),
            "bring the node back that served them, or see `redis-cli --cluster check`",
        ));
    } else if !view.is_well {
        findings.push(Finding::wrong(
            SUBJECT,
            "a node calls the cluster down although every slot is served",
            "it may be cut off from the others: look at its log, and at the network between the nodes",
        ));
    }
    let down = nodes.iter().filter(|node| !node.is_up()).count();
    if down > 0 {
        findings.push(Finding::warning(
            SUBJECT,
            format!("{down} of the {} nodes are down", nodes.len()),
            "start them, or have the others forget them (`CLUSTER FORGET`)",
        ));
    }
    let replica_of = |id: &str| {
        nodes
            .iter()
            .any(|node| node.is("slave") && node.is_up() && node.follows == id)
    };
    let alone = primaries.iter().filter(|node| !replica_of(node.id)).count();
    if alone > 0 {
        findings.push(Finding::warning(
            SUBJECT,
            format!(
                "{alone} of the {} primaries have no replica that is up: when one fails, its sessions (or all, where the cluster requires full coverage) cannot be reached until it is \
                 back",
                primaries.len()
            ),
            "give each primary a replica (`CLUSTER REPLICATE`)",
        ));
    }
    let moving = if nodes.iter().any(Node::is_moving_slots) {
        "; slots are on the move, and calls follow them"
    } else {
        ""
    };
    if findings.is_empty() {
        findings.push(Finding::fine(
            SUBJECT,
            format!(
                "{} primaries, each with a replica, serve all {SLOTS} slots{moving}",
                primaries.len()
            ),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use jam_core::Severity::{self, Fine, Warning, Wrong};

    const WELL: &str = "a h:1@2 myself,master - 0 0 1 connected 0-8000 8002-16383\n\
                        b h:2@3 slave a 0 0 1 connected\n\
                        c h:3@4 master - 0 0 2 connected 8001\n\
                        d h:4@5 slave c 0 0 2 connected\n";

    fn found(is_well: bool, nodes: &str) -> Vec<(Severity, String)> {
        let view = View {
            is_well,
            nodes: Some(nodes.to_owned()),
        };
        let findings = judge(&[view]).into_iter();
        findings
            .map(|finding| (finding.severity, finding.found.to_string()))
            .collect()
    }

    fn only(is_well: bool, nodes: &str, severity: Severity, words: &str) {
        let found = found(is_well, nodes);
        assert!(
            matches!(&*found, [(is, text)] if *is == severity && text.contains(words)),
            "{found:?}"
        );
    }

    #[test]
    fn each_trouble_of_a_cluster_is_told_with_its_weight() {
        only(
            true,
            WELL,
            Fine,
            "2 primaries, each with a replica, serve all 16384 slots",
        );
        only(true, &WELL.replace(" 8001", " 8001 [5->-a]"), Fine, "on the move");
        only(true, &WELL.replace(" 8001", ""), Wrong, "1 of the 16384 slots");
        only(
            true,
            &WELL.replace("slave c", "slave a"),
            Warning,
            "1 of the 2 primaries have no replica",
        );
        only(false, WELL, Wrong, "calls the cluster down");
        let failed = found(false, &WELL.replace("h:3@4 master", "h:3@4 master,fail"));
        assert_eq!(failed.len(), 2, "{failed:?}");
        assert!(failed[0].1.contains("1 of the 16384 slots") && failed[1].1.contains("1 of the 4 nodes are down"));
        let failed = found(true, &WELL.replace("h:4@5 slave", "h:4@5 slave,fail?"));
        assert_eq!(failed.len(), 2, "{failed:?}");
        assert!(failed.iter().all(|(severity, _)| *severity == Warning));
    }

    #[test]
    fn a_node_that_calls_the_cluster_well_is_believed() {
        let view = |is_well, nodes: &str| View {
            is_well,
            nodes: Some(nodes.to_owned()),
        };
        let cut_off = WELL.replace("h:3@4 master", "h:3@4 master,fail?");
        assert_eq!(judge(&[view(false, &cut_off), view(true, WELL)])[0].severity, Fine);
        let untold = View {
            is_well: true,
            nodes: None,
        };
        assert_eq!(judge(&[untold])[0].severity, Warning);
        assert!(judge(&[]).is_empty());
    }
}
