"""The shop's data. A real shop has a database."""

import os
from dataclasses import dataclass

SHOP_URL = os.environ.setdefault("SHOP_URL", "http://127.0.0.1:8000")
"""The shop's own address. webhooks.yaml names this variable."""


@dataclass(frozen=True)
class Customer:
    name: str
    password: str  # a real shop stores a hash of it
    owns_shop: bool = False


@dataclass(frozen=True)
class Order:
    customer: str
    items: str
    status: str


CUSTOMERS = {
    "ada": Customer("Ada Lovelace", "earl grey"),
    "grace": Customer("Grace Hopper", "assam"),
    "rosa": Customer("Rosa, the owner", "sencha", owns_shop=True),
}
PRODUCTS = ["Assam, 250 g", "Earl Grey, 100 g", "Sencha, 100 g"]
ORDERS = {
    "1042": Order("ada", "Earl Grey, 100 g", "Handed to the courier on Monday."),
    "1043": Order("grace", "Assam, 250 g", "Waiting for payment."),
}
CARTS: dict[str, dict[str, int]] = {customer: {} for customer in CUSTOMERS}
"""The number of each product in the cart of each customer."""
