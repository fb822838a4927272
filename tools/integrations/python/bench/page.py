# SPDX-License-Identifier: MIT
"""What bench/servers serves by Flask: a page of a shop, from a template, and the same as JSON."""
from flask import Flask, jsonify, render_template, request
from jinja2 import DictLoader

import application

TEMPLATE = """<!doctype html><title>Order {{ number }}</title><h1>Order {{ number }}</h1>
<table>{% for name, price in items %}
<tr><td>{{ loop.index }}</td><td>{{ name }}</td><td>{{ "%.2f" % price }}</td></tr>
{% endfor %}</table><p>{{ items | length }} items, {{ "%.2f" % total }} in all</p>"""
ITEMS = [(f"Thing <{i}>", 9.9 + i) for i in range(10)]

plain = Flask(__name__)
plain.jinja_loader = DictLoader({"order.html": TEMPLATE})


def order(number):
    return {"number": number, "items": ITEMS, "total": round(sum(price for _, price in ITEMS), 2)}


@plain.get("/orders/<int:number>")
def page(number):
    return render_template("order.html", **order(number))


@plain.get("/orders/<int:number>.json")
def data(number):
    return jsonify(order(number))


def told():
    """Where its routes are labels."""
    @plain.url_value_preprocessor
    def tell_route(endpoint, values):
        if request.url_rule:
            request.environ["smx.route"] = request.url_rule.rule
    return plain


def passed():
    return application.passed(plain)


def measured():
    return application.measured(told())


def prometheus():
    return application.prometheus(told())
