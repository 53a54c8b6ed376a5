//! A line graph as SVG: named values along the x axis, one line for each series.
//!
//! Invariant: it is readable on a light and on a dark page, and without colour, because each line
//! ends in its name.

use std::fmt::Write as _;

/// A line with its name, and one value for each x value; `None` has no point.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) values: Vec<Option<u64>>,
}

/// A graph, before it is drawn.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) title: &'static str,
    pub(super) x_label: &'static str,
    pub(super) x_values: Vec<String>,
    pub(super) y_label: &'static str,
    pub(super) series: Vec<Series>,
}

const WIDTH: u64 = 720;
const HEIGHT: u64 = 400;
const LEFT: u64 = 76;
/// Includes the names of the lines.
const RIGHT: u64 = 170;
const TOP: u64 = 56;
const BOTTOM: u64 = 64;
/// The least distance between two names.
const LINE_HEIGHT: u64 = 16;

/// Distinct on white and on black, also with red-green colour blindness.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#7a7a7a"];

const MIDDLE: &str = "text-anchor=\"middle\"";
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}\
     .title{font-size:16px;font-weight:600}.back{fill:#fff}.grid{stroke:#d0d7de}\
     .axis{stroke:#57606a}polyline{fill:none;stroke-width:2.5}\
     @media(prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}\
     .grid{stroke:#373e47}.axis{stroke:#9198a1}}";

impl Graph {
    /// The SVG file.
    pub(super) fn svg(&self) -> String {
        let max = self.series.iter().flat_map(|s| &s.values).flatten().copied().max();
        let step = step_of(max.unwrap_or(0));
        let top = max.unwrap_or(0).div_ceil(step).max(1) * step;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             role=\"img\" aria-label=\"{title}\">\n\
             <style>{STYLE}</style>\n<rect class=\"back\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
             <text class=\"title\" x=\"16\" y=\"28\">{title}</text>\n",
            title = escaped(self.title)
        );
        self.axes(&mut out, step, top);
        self.lines(&mut out, top);
        out.push_str("</svg>\n");
        out
    }

    fn axes(&self, out: &mut String, step: u64, top: u64) {
        let right = WIDTH - RIGHT;
        for value in (0..=top / step).map(|n| n * step) {
            let y = y_of(value, top);
            let class = if value == 0 { "axis" } else { "grid" };
            let label = text(LEFT - 8, y + 4, "text-anchor=\"end\"", &grouped(value));
            let (x, y) =
                (format!("x1=\"{LEFT}\" x2=\"{right}\""), format!("y1=\"{y}\" y2=\"{y}\""));
            let _ = writeln!(out, "<line class=\"{class}\" {x} {y}/>{label}");
        }
        for (n, x_value) in self.x_values.iter().enumerate() {
            let label = text(self.x_of(n), HEIGHT - BOTTOM + 20, MIDDLE, x_value);
            let _ = writeln!(out, "{label}");
        }
        let x_label = text(LEFT.midpoint(right), HEIGHT - 18, MIDDLE, self.x_label);
        let (y, y_label) = (TOP - 8, escaped(self.y_label));
        let _ = writeln!(out, "{x_label}<text x=\"16\" y=\"{y}\">{y_label}</text>");
    }

    fn lines(&self, out: &mut String, top: u64) {
        let mut names: Vec<(u64, &Series, &str)> = Vec::new();
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let mut points = String::new();
            for (n, value) in series.values.iter().enumerate() {
                let Some(value) = value else { continue };
                let (x, y) = (self.x_of(n), y_of(*value, top));
                let _ = write!(points, "{x},{y} ");
                let (x_value, y_value) = (&self.x_values[n], grouped(*value));
                let tooltip = escaped(&format!("{}, {x_value}: {y_value}", series.name));
                let _ = writeln!(
                    out,
                    "<circle cx=\"{x}\" cy=\"{y}\" r=\"4\" fill=\"{colour}\">\
                     <title>{tooltip}</title></circle>"
                );
                names.retain(|(_, other, _)| other.name != series.name);
                names.push((y, series, colour));
            }
            let _ = writeln!(out, "<polyline stroke=\"{colour}\" points=\"{}\"/>", points.trim());
        }
        // From the top down, each at the end of its line, or as near below it as there is room.
        names.sort_by_key(|(y, _, _)| *y);
        let mut free = 0;
        for (y, series, colour) in names {
            let y = (y + 4).max(free);
            free = y + LINE_HEIGHT;
            let style = format!("style=\"fill:{colour}\"");
            let _ = writeln!(out, "{}", text(WIDTH - RIGHT + 12, y, &style, &series.name));
        }
    }

    /// The distance of an x value from the left.
    fn x_of(&self, index: usize) -> u64 {
        let width = WIDTH - LEFT - RIGHT;
        let count = u64::try_from(self.x_values.len()).unwrap_or(1).max(1);
        LEFT + width * (2 * u64::try_from(index).unwrap_or(0) + 1) / (2 * count)
    }
}

/// The distance of a y value from the top.
fn y_of(value: u64, top: u64) -> u64 {
    let height = HEIGHT - TOP - BOTTOM;
    HEIGHT - BOTTOM - height * value / top.max(1)
}

/// The distance of the grid lines: a round number, at most eight of which fit into the maximum.
fn step_of(max: u64) -> u64 {
    let mut step = 1;
    while max / step > 8 {
        // 1, 2, 5, 10, 20, 50 …
        let is_two = step.to_string().starts_with('2');
        step = if is_two { step / 2 * 5 } else { step * 2 };
    }
    step
}

/// 12345 is `12,345`.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn text(x: u64, y: u64, attribute: &str, content: &str) -> String {
    format!("<text x=\"{x}\" y=\"{y}\" {attribute}>{}</text>", escaped(content))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_has_axes_points_and_names() {
        let graph = Graph {
            title: "Rates",
            x_label: "connections",
            x_values: vec!["1".into(), "64".into()],
            y_label: "a second",
            series: vec![
                Series { name: "a & b".into(), values: vec![Some(10), Some(1900)] },
                Series { name: "c".into(), values: vec![None, Some(1890)] },
            ],
        };
        let svg = graph.svg();
        for part in [
            "aria-label=\"Rates\"",
            ">2,000</text>",
            ">connections</text>",
            "a &amp; b, 64: 1,900",
            "points=\"194,335 431,70\"",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        // Two lines that end at one point: their names do not overlap.
        assert!(svg.contains("y=\"74\"") && svg.contains("y=\"90\""), "{svg}");
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([0, 8, 9, 17, 100, 1900, 17_000].map(step_of), [1, 1, 2, 2, 20, 500, 2000]);
        assert_eq!([7, 1234, 1_000_000].map(grouped), ["7", "1,234", "1,000,000"]);
    }
}
