"""Facts about currencies, countries and their states that are not in CLDR or libphonenumber.

Sources: ISO 4217 (minor units), ISO 3166-2 (codes of subdivisions), membership of the European Union. Plain data;
``services.reference`` joins it with Babel and phonenumbers.
"""

from __future__ import annotations

from apps.contacts.identifiers import EU_COUNTRIES

# Digits after the point, where they are not two.
MINOR_UNITS = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
# The country whose way of writing decides where the symbol stands, when it is not the first two letters of the code.
CURRENCY_HOME = {"EUR": "DE", "XAF": "CM", "XOF": "SN", "XPF": "PF", "XCD": "AG", "ANG": "CW", "XCG": "CW"}
SUBUNITS = {
    **dict.fromkeys(
        ["AUD", "CAD", "EUR", "HKD", "NZD", "SGD", "USD", "ZAR", "TWD", "BZD", "JMD", "TTD"], "cent"
    ),
    **dict.fromkeys(["GBP"], "penny"),
    **dict.fromkeys(["DKK", "NOK"], "øre"),
    **dict.fromkeys(["SEK"], "öre"),
    **dict.fromkeys(["CHF"], "centime"),
    **dict.fromkeys(["INR", "PKR", "NPR"], "paisa"),
    **dict.fromkeys(["BRL", "ARS", "CLP", "COP", "MXN", "PHP"], "centavo"),
    **dict.fromkeys(["CZK"], "haléř"),
    **dict.fromkeys(["PLN"], "grosz"),
    **dict.fromkeys(["AED"], "fils"),
}
ACTIVE_CURRENCIES = frozenset({"EUR", "USD"})

# Entries of CLDR that are no countries: groups, outlying areas without a code of ISO, placeholders.
NOT_COUNTRIES = frozenset(
    ["AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"]
)

TAX_ID_LABELS = {
    **dict.fromkeys(EU_COUNTRIES, "VAT"),
    **dict.fromkeys(["GB", "XK", "NO", "CH", "IS", "LI"], "VAT"),
    **dict.fromkeys(["AU"], "ABN"),
    **dict.fromkeys(["NZ", "SG", "IN"], "GST"),
    **dict.fromkeys(["US"], "EIN"),
    **dict.fromkeys(["CA"], "BN"),
    **dict.fromkeys(["BR"], "CNPJ"),
    **dict.fromkeys(["AR"], "CUIT"),
    **dict.fromkeys(["CL"], "RUT"),
    **dict.fromkeys(["CO"], "NIT"),
    **dict.fromkeys(["MX"], "RFC"),
    **dict.fromkeys(["PE"], "RUC"),
}
STATE_REQUIRED = frozenset(["AU", "BR", "CA", "IN", "MX", "US"])
ZIP_REQUIRED = EU_COUNTRIES - {"IE"} | frozenset(["AU", "BR", "CA", "CH", "GB", "IN", "JP", "MX", "NO", "US"])

CITY_FIRST = "{street}\n{street2}\n{city} {state_code} {zip}\n{country_name}"
CITY_ABOVE_ZIP = "{street}\n{street2}\n{city}\n{zip}\n{country_name}"
PROVINCE_BEHIND = "{street}\n{street2}\n{zip} {city} {state_code}\n{country_name}"
LARGE_TO_SMALL = "{country_name}\n{zip}\n{state_name} {city}\n{street}\n{street2}"
CITY_HYPHEN_STATE = "{street}\n{street2}\n{city} - {state_code}\n{zip}\n{country_name}"
ADDRESS_FORMATS = {
    **dict.fromkeys(["US", "CA", "AU", "NZ", "PH", "ZA"], CITY_FIRST),
    **dict.fromkeys(["GB", "IE", "MT", "JE", "GG", "IM"], CITY_ABOVE_ZIP),
    **dict.fromkeys(["IT", "ES"], PROVINCE_BEHIND),
    **dict.fromkeys(["JP", "CN", "KR", "TW"], LARGE_TO_SMALL),
    **dict.fromkeys(["BR"], CITY_HYPHEN_STATE),
    **dict.fromkeys(["IN"], "{street}\n{street2}\n{city} {zip}\n{state_name}\n{country_name}"),
    **dict.fromkeys(["HU"], "{city}\n{street}\n{street2}\n{zip}\n{country_name}"),
}

# "code name" separated by semicolons.
_STATES = {
    "US": "AL Alabama;AK Alaska;AZ Arizona;AR Arkansas;CA California;CO Colorado;CT Connecticut;DE Delaware;"
    "DC District of Columbia;FL Florida;GA Georgia;HI Hawaii;ID Idaho;IL Illinois;IN Indiana;IA Iowa;KS Kansas;"
    "KY Kentucky;LA Louisiana;ME Maine;MD Maryland;MA Massachusetts;MI Michigan;MN Minnesota;MS Mississippi;"
    "MO Missouri;MT Montana;NE Nebraska;NV Nevada;NH New Hampshire;NJ New Jersey;NM New Mexico;NY New York;"
    "NC North Carolina;ND North Dakota;OH Ohio;OK Oklahoma;OR Oregon;PA Pennsylvania;RI Rhode Island;"
    "SC South Carolina;SD South Dakota;TN Tennessee;TX Texas;UT Utah;VT Vermont;VA Virginia;WA Washington;"
    "WV West Virginia;WI Wisconsin;WY Wyoming;AS American Samoa;GU Guam;MP Northern Mariana Islands;PR Puerto Rico;"
    "VI Virgin Islands, U.S.",
    "CA": "AB Alberta;BC British Columbia;MB Manitoba;NB New Brunswick;NL Newfoundland and Labrador;"
    "NS Nova Scotia;NT Northwest Territories;NU Nunavut;ON Ontario;PE Prince Edward Island;QC Quebec;"
    "SK Saskatchewan;YT Yukon",
    "AU": "ACT Australian Capital Territory;NSW New South Wales;NT Northern Territory;QLD Queensland;"
    "SA South Australia;TAS Tasmania;VIC Victoria;WA Western Australia",
    "BR": "AC Acre;AL Alagoas;AP Amapá;AM Amazonas;BA Bahia;CE Ceará;DF Distrito Federal;ES Espírito Santo;"
    "GO Goiás;MA Maranhão;MT Mato Grosso;MS Mato Grosso do Sul;MG Minas Gerais;PA Pará;PB Paraíba;PR Paraná;"
    "PE Pernambuco;PI Piauí;RJ Rio de Janeiro;RN Rio Grande do Norte;RS Rio Grande do Sul;RO Rondônia;RR Roraima;"
    "SC Santa Catarina;SP São Paulo;SE Sergipe;TO Tocantins",
    "IN": "AN Andaman and Nicobar Islands;AP Andhra Pradesh;AR Arunachal Pradesh;AS Assam;BR Bihar;CH Chandigarh;"
    "CG Chhattisgarh;DH Dadra and Nagar Haveli and Daman and Diu;DL Delhi;GA Goa;GJ Gujarat;HR Haryana;"
    "HP Himachal Pradesh;JK Jammu and Kashmir;JH Jharkhand;KA Karnataka;KL Kerala;LA Ladakh;LD Lakshadweep;"
    "MP Madhya Pradesh;MH Maharashtra;MN Manipur;ML Meghalaya;MZ Mizoram;NL Nagaland;OD Odisha;PY Puducherry;"
    "PB Punjab;RJ Rajasthan;SK Sikkim;TN Tamil Nadu;TS Telangana;TR Tripura;UP Uttar Pradesh;UK Uttarakhand;"
    "WB West Bengal",
    "MX": "AGU Aguascalientes;BCN Baja California;BCS Baja California Sur;CAM Campeche;CHP Chiapas;CHH Chihuahua;"
    "CMX Ciudad de México;COA Coahuila;COL Colima;DUR Durango;GUA Guanajuato;GRO Guerrero;HID Hidalgo;JAL Jalisco;"
    "MEX México;MIC Michoacán;MOR Morelos;NAY Nayarit;NLE Nuevo León;OAX Oaxaca;PUE Puebla;QUE Querétaro;"
    "ROO Quintana Roo;SLP San Luis Potosí;SIN Sinaloa;SON Sonora;TAB Tabasco;TAM Tamaulipas;TLA Tlaxcala;"
    "VER Veracruz;YUC Yucatán;ZAC Zacatecas",
    "AR": "A Salta;B Buenos Aires;C Ciudad Autónoma de Buenos Aires;D San Luis;E Entre Ríos;F La Rioja;"
    "G Santiago del Estero;H Chaco;J San Juan;K Catamarca;L La Pampa;M Mendoza;N Misiones;P Formosa;Q Neuquén;"
    "R Río Negro;S Santa Fe;T Tucumán;U Chubut;V Tierra del Fuego;W Corrientes;X Córdoba;Y Jujuy;Z Santa Cruz",
    "DE": "BW Baden-Württemberg;BY Bayern;BE Berlin;BB Brandenburg;HB Bremen;HH Hamburg;HE Hessen;"
    "MV Mecklenburg-Vorpommern;NI Niedersachsen;NW Nordrhein-Westfalen;RP Rheinland-Pfalz;SL Saarland;SN Sachsen;"
    "ST Sachsen-Anhalt;SH Schleswig-Holstein;TH Thüringen",
    "AT": "1 Burgenland;2 Kärnten;3 Niederösterreich;4 Oberösterreich;5 Salzburg;6 Steiermark;7 Tirol;8 Vorarlberg;"
    "9 Wien",
    "CH": "AG Aargau;AI Appenzell Innerrhoden;AR Appenzell Ausserrhoden;BE Bern;BL Basel-Landschaft;BS Basel-Stadt;"
    "FR Fribourg;GE Genève;GL Glarus;GR Graubünden;JU Jura;LU Luzern;NE Neuchâtel;NW Nidwalden;OW Obwalden;"
    "SG St. Gallen;SH Schaffhausen;SO Solothurn;SZ Schwyz;TG Thurgau;TI Ticino;UR Uri;VD Vaud;VS Valais;ZG Zug;"
    "ZH Zürich",
    "NL": "DR Drenthe;FL Flevoland;FR Fryslân;GE Gelderland;GR Groningen;LI Limburg;NB Noord-Brabant;"
    "NH Noord-Holland;OV Overijssel;UT Utrecht;ZE Zeeland;ZH Zuid-Holland",
    "ES": "A Alicante;AB Albacete;AL Almería;AV Ávila;B Barcelona;BA Badajoz;BI Bizkaia;BU Burgos;C A Coruña;"
    "CA Cádiz;CC Cáceres;CE Ceuta;CO Córdoba;CR Ciudad Real;CS Castellón;CU Cuenca;GC Las Palmas;GI Girona;"
    "GR Granada;GU Guadalajara;H Huelva;HU Huesca;J Jaén;L Lleida;LE León;LO La Rioja;LU Lugo;M Madrid;MA Málaga;"
    "ML Melilla;MU Murcia;NA Navarra;O Asturias;OR Ourense;P Palencia;PM Illes Balears;PO Pontevedra;S Cantabria;"
    "SA Salamanca;SE Sevilla;SG Segovia;SO Soria;SS Gipuzkoa;T Tarragona;TE Teruel;TF Santa Cruz de Tenerife;"
    "TO Toledo;V Valencia;VA Valladolid;VI Araba;Z Zaragoza;ZA Zamora",
    "IT": "AG Agrigento;AL Alessandria;AN Ancona;AO Aosta;AP Ascoli Piceno;AQ L'Aquila;AR Arezzo;AT Asti;AV Avellino;"
    "BA Bari;BG Bergamo;BI Biella;BL Belluno;BN Benevento;BO Bologna;BR Brindisi;BS Brescia;BT Barletta-Andria-Trani;"
    "BZ Bolzano;CA Cagliari;CB Campobasso;CE Caserta;CH Chieti;CL Caltanissetta;CN Cuneo;CO Como;CR Cremona;"
    "CS Cosenza;CT Catania;CZ Catanzaro;EN Enna;FC Forlì-Cesena;FE Ferrara;FG Foggia;FI Firenze;FM Fermo;"
    "FR Frosinone;GE Genova;GO Gorizia;GR Grosseto;IM Imperia;IS Isernia;KR Crotone;LC Lecco;LE Lecce;LI Livorno;"
    "LO Lodi;LT Latina;LU Lucca;MB Monza e Brianza;MC Macerata;ME Messina;MI Milano;MN Mantova;MO Modena;"
    "MS Massa-Carrara;MT Matera;NA Napoli;NO Novara;NU Nuoro;OR Oristano;PA Palermo;PC Piacenza;PD Padova;PE Pescara;"
    "PG Perugia;PI Pisa;PN Pordenone;PO Prato;PR Parma;PT Pistoia;PU Pesaro e Urbino;PV Pavia;PZ Potenza;RA Ravenna;"
    "RC Reggio Calabria;RE Reggio Emilia;RG Ragusa;RI Rieti;RM Roma;RN Rimini;RO Rovigo;SA Salerno;SI Siena;"
    "SO Sondrio;SP La Spezia;SR Siracusa;SS Sassari;SU Sud Sardegna;SV Savona;TA Taranto;TE Teramo;TN Trento;"
    "TO Torino;TP Trapani;TR Terni;TS Trieste;TV Treviso;UD Udine;VA Varese;VB Verbano-Cusio-Ossola;VC Vercelli;"
    "VE Venezia;VI Vicenza;VR Verona;VT Viterbo;VV Vibo Valentia",
}


def states() -> dict[str, list[tuple[str, str]]]:
    """Country code -> list of (state code, name)."""
    return {
        country: [(entry.partition(" ")[0], entry.partition(" ")[2]) for entry in text.split(";")]
        for country, text in _STATES.items()
    }
