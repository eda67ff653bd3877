//! Nested groups: everybody in a group or in any group reachable from it.
//!
//! Cycles and diamonds are normal in real directories. Groups of one cycle have the same members, so each strongly
//! connected component is resolved once, after the components it contains, and its groups share one list.

use std::sync::Arc;

use petgraph::Directed;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{Graph, NodeIndex};

/// Direct members of a group, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Direct {
    /// Numbers of people.
    pub people: Vec<u32>,
    /// Numbers of groups, as indexes into the slice given to [`flatten`].
    pub groups: Vec<u32>,
}

/// Returns the sorted numbers of everybody reachable, for each group. `people` is one more than the largest number.
///
/// # Panics
/// Never for numbers in these ranges; callers make them from their own lists.
pub fn flatten(groups: &[Direct], people: usize) -> Vec<Arc<[u32]>> {
    let graph = graph(groups);
    let mut resolved: Vec<Option<Arc<[u32]>>> = vec![None; groups.len()];
    let mut seen = Seen::new(people);
    // Components come in reverse topological order: the components inside one are resolved before it.
    for component in kosaraju_scc(&graph) {
        let list = union(&component, groups, &resolved, &mut seen);
        for node in component {
            resolved[node.index()] = Some(Arc::clone(&list));
        }
    }
    let nobody: Arc<[u32]> = Arc::from([]);
    resolved.into_iter().map(|list| list.unwrap_or_else(|| Arc::clone(&nobody))).collect()
}

fn graph(groups: &[Direct]) -> Graph<(), (), Directed, u32> {
    let edges = groups.iter().map(|group| group.groups.len()).sum();
    let mut graph = Graph::with_capacity(groups.len(), edges);
    for _ in groups {
        graph.add_node(());
    }
    for (from, group) in groups.iter().enumerate() {
        for &to in &group.groups {
            graph.add_edge(NodeIndex::new(from), NodeIndex::new(to as usize), ());
        }
    }
    graph
}

fn union(
    component: &[NodeIndex<u32>],
    groups: &[Direct],
    resolved: &[Option<Arc<[u32]>>],
    seen: &mut Seen,
) -> Arc<[u32]> {
    let members = || component.iter().map(|node| &groups[node.index()]);
    let mut below: Vec<&Arc<[u32]>> =
        members().flat_map(|group| &group.groups).filter_map(|&at| resolved[at as usize].as_ref()).collect();
    below.sort_unstable_by_key(|list| list.as_ptr());
    below.dedup_by_key(|list| list.as_ptr());
    if let ([only], true) = (&below[..], members().all(|group| group.people.is_empty())) {
        return Arc::clone(only);
    }
    seen.start();
    let mut union: Vec<u32> = Vec::new();
    let own = members().flat_map(|group| group.people.iter());
    for &person in own.chain(below.into_iter().flat_map(|list| list.iter())) {
        if seen.is_first(person) {
            union.push(person);
        }
    }
    union.sort_unstable();
    union.into()
}

/// People found in the current union; no clearing is needed between unions.
struct Seen {
    round: u32,
    last_round: Vec<u32>,
}

impl Seen {
    fn new(people: usize) -> Self {
        Self { round: 0, last_round: vec![0; people] }
    }

    fn start(&mut self) {
        self.round += 1;
    }

    fn is_first(&mut self, person: u32) -> bool {
        let last = &mut self.last_round[person as usize];
        std::mem::replace(last, self.round) != self.round
    }
}
