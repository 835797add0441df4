//! `docs/reference/` is what the code says.

#[tokio::test]
async fn no_page_of_the_reference_is_stale() {
    let pages = weir_e2e::reference::pages().await.unwrap();
    let stale: Vec<String> = pages.iter().filter(|page| page.is_stale()).map(|page| page.name()).collect();
    assert!(stale.is_empty(), "{stale:?}: run scripts/reference");
}
