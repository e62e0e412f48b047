//! Small drawings, part of the page and of no meaning of their own.

use maud::{Markup, html};

use crate::browser::Shape;

/// What a device looks like.
pub(super) fn shape(shape: Shape) -> Markup {
    draw(match shape {
        Shape::Computer => "M5 5h14v10H5zM2 19h20",
        Shape::Phone => "M8 3h8v18H8zM11 18h2",
        Shape::Tablet => "M5 3h14v18H5zM11 18h2",
        Shape::Unknown => "M4 5h16v14H4zM8 10l3 2.5L8 15M13 15h3",
    })
}

pub(super) fn check() -> Markup {
    draw("M5 12.5l4.5 4.5L19 7.5")
}

fn draw(path: &str) -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" stroke-width="1.75"
            stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" { path d=(path) {} }
    }
}
