for (const one of document.querySelectorAll('input[name="lang"]'))
  one.addEventListener("change", () => { document.documentElement.lang = one.value; });
