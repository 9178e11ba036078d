// What Rust's compiler says of enums and slices: the subject of tests/subjects/ask_rust.s, which was made from this by
//   rustc -g -C panic=abort -C opt-level=0 -C overflow-checks=off -C debug-assertions=off --emit asm --crate-type bin ask_rust.rs
#![no_std]
#![no_main]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
pub enum Shape { Circle { r: i32 }, Rect(i32, i32), Unit }
pub enum Only { One(u8) }
#[repr(i64)]
pub enum Far { Low(i32) = -2, High(i32) = 1 << 40 }
pub struct Item<'a> { name: &'a str, shape: Shape, next: Option<&'a Item<'a>>, small: Option<bool> }
#[no_mangle]
#[inline(never)]
pub fn area(s: &Shape) -> i32 { match s { Shape::Circle { r } => 3 * *r, Shape::Rect(a, b) => *a + *b, Shape::Unit => 1 } }
#[no_mangle]
#[inline(never)]
pub fn total(items: &[Item], only: Only, far: [Far; 2]) -> i32 {
    let Only::One(t) = only;
    let [a, _] = far;
    let low = match a { Far::Low(n) => n, Far::High(n) => n };
    if let [x, y] = items { t as i32 + low + area(&x.shape) + area(&y.shape) } else { 0 }
}
#[no_mangle]
pub extern "C" fn main() -> i32 {
    let first = Item { name: "first", shape: Shape::Circle { r: 2 }, next: None, small: Some(true) };
    let items = [Item { name: "one", shape: Shape::Rect(2, 5), next: Some(&first), small: None }, Item { name: "", shape: Shape::Unit, next: None, small: Some(false) }];
    total(&items, Only::One(3), [Far::Low(4), Far::High(5)])
}
