"""What is drawn: charts for plotly.js, with every text escaped, galleries of pictures, and importance."""
