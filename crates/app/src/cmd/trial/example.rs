//! `saldo upstream example`: prints a file of a panel to begin with.

use crate::output::Output;

/// The shapes of panels, as docs/upstreams/generic.md lists them.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Shape {
    /// POST, JSON, a key in a header, a callback by POST.
    PanelJson,
    /// GET, one line of text, an MD5 signature, a callback by GET.
    PanelText,
    /// A log-in for a token, form bodies, XML replies, an HMAC signature.
    PanelXml,
    /// A real service, iRecharge Pro, written this way.
    Irecharge,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ExampleArgs {
    /// Which shape.
    shape: Shape,
}

/// The file's text, as it is.
pub(crate) fn run(args: &ExampleArgs, output: &mut Output) {
    let text = match args.shape {
        Shape::PanelJson => include_str!("../../../../../docs/upstreams/panel-json.toml"),
        Shape::PanelText => include_str!("../../../../../docs/upstreams/panel-text.toml"),
        Shape::PanelXml => include_str!("../../../../../docs/upstreams/panel-xml.toml"),
        Shape::Irecharge => include_str!("../../../../../docs/upstreams/irecharge.toml"),
    };
    output.lines(text);
}
