//! Small charts of the last runs.

use maud::{Markup, html};

const HEIGHT: f64 = 18.0;
const STEP: usize = 5;

/// A bar for each value, the oldest first. It says in words what it shows.
pub(crate) fn bars(values: &[f64], unit: &str) -> Markup {
    let Some(largest) = values.iter().copied().reduce(f64::max) else { return html! {} };
    let Some(last) = values.last() else { return html! {} };
    let label =
        format!("Last {} runs: at most {}{unit}, last {}{unit}", values.len(), short(largest), short(*last));
    let height = |value: f64| if largest > 0.0 { (value / largest * HEIGHT).max(1.0) } else { 1.0 };
    html! {
        svg.bars role="img" aria-label=(label) width=(values.len() * STEP) height=(HEIGHT) viewBox=(format!("0 0 {} {HEIGHT}", values.len() * STEP)) {
            title { (label) }
            @for (number, value) in values.iter().enumerate() {
                @let height = height(*value);
                rect x=(number * STEP) y=(format!("{:.1}", HEIGHT - height)) width=(STEP - 1) height=(format!("{height:.1}")) {}
            }
        }
    }
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_values() {
        let drawn = bars(&[0.0, 9.0, 18.0], " s").into_string();
        assert!(drawn.contains("at most 18 s, last 18 s") && drawn.contains(r#"y="9.0""#), "{drawn}");
        assert!(drawn.contains(r#"y="17.0""#), "{drawn}");
        assert_eq!(bars(&[], "").into_string(), "");
    }
}
