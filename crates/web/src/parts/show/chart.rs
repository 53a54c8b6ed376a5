//! A chart of lines: SVG without text, the axes in HTML beside it, and the numbers as a table.

use crate::parts::parts;
use crate::words::Words;
use askama::Template;
use std::fmt::Write as _;

/// Units of the drawing; it is stretched to its place.
const WIDTH: u64 = 600;
const HEIGHT: u64 = 200;

/// One line of a chart, with a value for each label.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) values: Vec<u64>,
}

/// Lines over labels, from zero.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/show/chart.html")]
pub(crate) struct Chart {
    pub(crate) words: Words,
    /// What it shows, in one sentence: for who does not see it.
    pub(crate) sentence: String,
    /// Under the line, from left to right.
    pub(crate) labels: Vec<String>,
    pub(crate) series: Vec<Series>,
    /// How a value is written.
    pub(crate) shown: fn(Words, u64) -> String,
}

struct Line {
    number: usize,
    path: String,
}

impl Chart {
    fn highest(&self) -> u64 {
        self.series.iter().flat_map(|s| s.values.iter().copied()).max().unwrap_or(0).max(1)
    }

    fn lines(&self) -> Vec<Line> {
        let highest = self.highest();
        let steps = u64::try_from(self.labels.len().saturating_sub(1)).unwrap_or(1).max(1);
        let line = |(number, series): (usize, &Series)| {
            let mut path = String::new();
            for (step, value) in (0_u64..).zip(&series.values) {
                let x = WIDTH * step / steps;
                let y = HEIGHT - HEIGHT.saturating_mul(*value) / highest;
                let letter = if step == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{letter}{x} {y}");
            }
            Line { number: number + 1, path }
        };
        self.series.iter().enumerate().map(line).collect()
    }

    fn top(&self) -> String {
        (self.shown)(self.words, self.highest())
    }

    fn zero(&self) -> String {
        (self.shown)(self.words, 0)
    }

    fn value(&self, series: &Series, at: usize) -> String {
        series.values.get(at).map_or(String::new(), |value| (self.shown)(self.words, *value))
    }
}

parts!(Chart);
