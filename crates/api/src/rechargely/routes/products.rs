//! Categories, products, providers, and the public search.

use super::super::ApiState;
use super::super::authenticate::{Anonymous, Authenticated};
use super::super::limits::FOUND_PRODUCTS_MAX;
use super::super::refusals::ApiError;
use super::super::wire::{ids, request, response};
use super::{PathText, ok};
use crate::extract::body;
use crate::logos;
use axum::extract::Path;
use axum::response::Response;
use domain::catalog::search as catalog_search;
use domain::{Catalog, CategoryId};
use http::Uri;

/// Search products
///
/// Products that can be bought now and fit every word of the query, best first; typing errors are
/// forgiven. No access token is needed. At most 30 searches a minute from one address.
#[utoipa::path(
    get, path = "/public/products/search", tag = "Products", operation_id = "search",
    params(request::SearchQuery),
    responses((status = 200, description = "The products; an empty list where none fits.",
        body = Vec<response::ListedProduct>)),
)]
pub(crate) async fn search(anonymous: Anonymous, uri: Uri) -> Response {
    let api = &anonymous.api;
    let work = async {
        let query = request::search(&body::query(&uri))?;
        let catalog = api.engine.catalog();
        let found = catalog_search::search(&catalog, &query, FOUND_PRODUCTS_MAX);
        let listed = found.into_iter().map(|product| api.listed(&catalog, product));
        ok(&listed.collect::<Vec<_>>())
    };
    anonymous.respond_to_search(work).await
}

/// List categories
///
/// All families of products, by id.
#[utoipa::path(
    get, path = "/products/categories", tag = "Products", operation_id = "categories",
    responses((status = 200, description = "The categories.",
        body = Vec<response::ListedCategory>)),
)]
pub(crate) async fn categories(authenticated: Authenticated) -> Response {
    let api = &authenticated.api;
    let work = async {
        let catalog = api.engine.catalog();
        let listed = catalog.categories.iter().map(|category| response::ListedCategory {
            id: ids::category(category.id.0),
            category: &category.name,
            description: &category.description,
            logo: logos::url(&api.settings.base_url, &category.logo),
        });
        ok(&listed.collect::<Vec<_>>())
    };
    authenticated.respond("categories", work).await
}

/// List products by category
///
/// All products of the category, by id; those that cannot be bought now are `INACTIVE`.
#[utoipa::path(
    get, path = "/products/products-list-category/{categoryId}", tag = "Products",
    operation_id = "products",
    params(("categoryId" = String, Path, description = "The `id` of a category, or its number.",
        pattern = "^(cat_)?[0-9]{1,20}$", example = "cat_001")),
    responses((status = 200, description = "The products; an empty list where there are none.",
        body = Vec<response::ListedProduct>)),
)]
pub(crate) async fn products(authenticated: Authenticated, category: PathText) -> Response {
    let api = &authenticated.api;
    let work = async {
        let catalog = api.engine.catalog();
        let id = category.ok().and_then(|Path(text)| ids::parse_category(&text)).map(CategoryId);
        let known = id
            .filter(|id| catalog.category(*id).is_some())
            .ok_or_else(ApiError::category_not_found)?;
        let products = catalog.products.iter().filter(|product| product.category == known);
        ok(&products.map(|product| api.listed(&catalog, product)).collect::<Vec<_>>())
    };
    authenticated.respond("products", work).await
}

/// List providers
///
/// Who delivers the products of this reference name, product or category, each once.
#[utoipa::path(
    get, path = "/products/providers/{name}", tag = "Products", operation_id = "providers",
    params(("name" = String, Path, description = "The `refName` or the name of a product, \
            (`name` or `productName`), or the name of a category, in any case.",
        example = "econet")),
    responses((status = 200, description = "The providers.", body = Vec<response::ListedProvider>)),
)]
pub(crate) async fn providers(authenticated: Authenticated, name: PathText) -> Response {
    let api = &authenticated.api;
    let work = async {
        let catalog = api.engine.catalog();
        let Path(name) = name.map_err(|_| ApiError::provider_not_found())?;
        let names = providers_of(&catalog, &name).ok_or_else(ApiError::provider_not_found)?;
        let listed =
            names.into_iter().map(|provider_name| response::ListedProvider { provider_name });
        ok(&listed.collect::<Vec<_>>())
    };
    authenticated.respond("providers", work).await
}

/// The names of the operators of all products with this reference name, name, title or category,
/// each once, in the order of the products (CONTRACT B-21). A category may have none; `None`:
/// nothing has this name.
fn providers_of<'c>(catalog: &'c Catalog, name: &str) -> Option<Vec<&'c str>> {
    let is_named = |known: &String| known.eq_ignore_ascii_case(name);
    let category = catalog.categories.iter().find(|category| is_named(&category.name));
    let is_meant = |product: &domain::catalog::product::Product| {
        let is_in_category = category.is_some_and(|category| category.id == product.category);
        let names = [&product.ref_name, &product.name, &product.title];
        is_in_category || names.into_iter().any(is_named)
    };
    let mut names = Vec::new();
    for product in catalog.products.iter().filter(|product| is_meant(product)) {
        let operator = catalog.operator_by_code(&product.operator);
        let name = operator.map_or(product.operator.as_str(), |operator| operator.name.as_str());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (category.is_some() || !names.is_empty()).then_some(names)
}

impl ApiState {
    fn listed<'c>(
        &self,
        catalog: &'c Catalog,
        product: &'c domain::catalog::product::Product,
    ) -> response::ListedProduct<'c> {
        response::ListedProduct::of(product, catalog, &self.settings.base_url)
    }
}

#[cfg(test)]
mod tests {
    use super::providers_of;

    /// CONTRACT B-21: what is known and empty is told from what is unknown.
    #[test]
    fn a_category_without_products_has_no_providers() {
        let mut catalog = fixtures::catalog();
        let category = catalog.categories[0].clone();
        let filled = providers_of(&catalog, &category.name.to_uppercase());
        assert!(!filled.unwrap().is_empty());
        catalog.products.retain(|product| product.category != category.id);
        assert_eq!(providers_of(&catalog, &category.name), Some(vec![]));
        assert_eq!(providers_of(&catalog, "nobody"), None);
    }

    /// What a list shows of a product finds who delivers it: `refName`, `name` and `productName`.
    #[test]
    fn a_product_is_found_by_each_of_its_names() {
        let catalog = fixtures::catalog();
        assert!(!catalog.products.is_empty());
        for product in &catalog.products {
            let operator = &catalog.operator_by_code(&product.operator).unwrap().name;
            for name in [&product.ref_name, &product.name, &product.title] {
                for name in [name.clone(), name.to_uppercase(), name.to_lowercase()] {
                    let found = providers_of(&catalog, &name).unwrap_or_default();
                    assert!(found.contains(&operator.as_str()), "{name}: {found:?}");
                }
            }
        }
    }
}
