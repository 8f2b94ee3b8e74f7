#!/usr/bin/env -S node --max-semi-space-size=128
// The young generation holds what some dozens of invoices allocate while they are computed: with 16 MB, the default, most
// of it was copied twice and then thrown away.
import '../dist/main.js';
